import numpy as np
import pytest

from keras_bld.diffusion.sampling import plan_sampling
from keras_bld.serving.service.sampler import Sample, Sampler

pytestmark = pytest.mark.on_tensorflow
SETTINGS = [  # (steps, temperature, guidance scale, label)
    (4, 0.9, 0.0, 0),
    (3, 1.1, 2.0, 1),
    (4, 0.5, 1.0, 2),
    (2, 0.9, 0.0, None),
    (1, 0.9, 3.0, 1),
]


@pytest.fixture
def networks(exact_networks):
    return exact_networks


@pytest.fixture
def sampler(program, networks):
    return Sampler(program, networks)


def sample_of(sampler, networks, place, **others):
    steps, temperature, guidance_scale, label = SETTINGS[place % len(SETTINGS)]
    return Sample(
        seed=7 + place // 4,
        index=place,
        time_steps=sampler.time_grid(steps),
        temperature=temperature,
        guidance_scale=guidance_scale,
        token=None if label is None else networks.class_token(label),
        **others,
    )


def run(sampler, samples):
    sampler.add(samples)
    while len(sampler):
        sampler.step()
    return np.stack([sample.codes for sample in samples])


def test_codes_are_those_of_the_library(sampler, networks, served_model):
    served_model.compile_for_inference(precision="float32")  # traces nothing
    for place, (steps, temperature, guidance_scale, label) in enumerate(SETTINGS):
        options = {"num_steps": steps, "temperature": temperature, "seed": 7 + place // 4}
        if label is None:
            options["drop_condition"] = True
        else:
            options |= {"labels": label, "guidance_scale": guidance_scale}
        expected = served_model.generate_codes(place + 1, **options)[-1]
        (made,) = run(sampler, [sample_of(sampler, networks, place)])
        np.testing.assert_array_equal(made, expected)
    served_model.compile_for_inference(None)


def test_corrections_and_known_bits_are_those_of_the_library(sampler, networks, served_model):
    options = {"num_steps": 3, "temperature": 0.9, "kappa": 0.8, "corrector_steps": 2}
    sampler._sampling = sampler._sampling.replace(**options)
    served_model.compile_for_inference(precision="float32")
    random = np.random.default_rng(1)
    known = random.integers(0, 2, (2, 1, *networks.code_shape)).astype("float32")
    for known_bits in ("clean", "noised"):
        sampler._sampling = sampler._sampling.replace(known_bits=known_bits)
        plan = plan_sampling(
            served_model, 1, labels=2, known=known, seed=7, sampling=sampler._sampling
        )
        expected = served_model.code_array(plan)
        sample = Sample(
            seed=7,
            index=0,
            time_steps=sampler.time_grid(3),
            temperature=0.9,
            token=networks.class_token(2),
            known=tuple(known[:, 0]),
        )
        made = run(sampler, [sample])
        np.testing.assert_array_equal(made, expected)
        assert sample.step == 3 + 2 * 2
    served_model.compile_for_inference(None)


def test_an_image_depends_on_itself_alone(sampler, networks, program):
    """Bit for bit: alone, all together, and coming while others are under way."""
    known = np.random.default_rng(0).integers(0, 2, (2, *networks.code_shape)).astype("float32")
    others = [{"known": tuple(known)} if place == 6 else {} for place in range(12)]

    def samples():
        return [sample_of(sampler, networks, place, **others[place]) for place in range(12)]

    alone = np.concatenate([run(sampler, [sample]) for sample in samples()])
    np.testing.assert_array_equal(run(sampler, samples()), alone)
    one_by_one = samples()
    for sample in reversed(one_by_one):
        sampler.add([sample])
        sampler.step()
    while len(sampler):
        sampler.step()
    np.testing.assert_array_equal(np.stack([each.codes for each in one_by_one]), alone)
    kept = known[1] == 1
    np.testing.assert_array_equal(alone[6][kept], known[0][kept])


def test_those_that_nobody_waits_for_take_no_rows(sampler, networks):
    samples = [sample_of(sampler, networks, 0, owner=owner) for owner in ("a", "b", "a")]
    sampler.add(samples)
    assert sampler.step() == ([], 3)
    sampler.drop(lambda owner: owner == "a")
    assert len(sampler) == 1 and sampler.step() == ([], 1)


def test_more_than_a_run_holds_waits_in_order(sampler, networks):
    samples = [sample_of(sampler, networks, 1) for _ in range(6)]  # guided: two rows each
    sampler.add(samples)
    finished, rows = sampler.step()
    assert rows == 8 and [sample.step for sample in samples] == [1, 1, 1, 1, 0, 0]
    sampler.step()
    finished, _ = sampler.step()
    assert finished == samples[:4]
