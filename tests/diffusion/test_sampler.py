import numpy as np
import pytest
from diffusion.published import (
    MODELS,
    NUM_STEPS,
    SAMPLER,
    as_grid,
    condition_of,
    published_denoiser,
)
from diffusion.published import reference as published_arrays
from harness import check_eager_equals_compiled, to_numpy
from keras import ops
from small_models import StubDenoiser, random_codes, tiny_model

from keras_bld.base.backend import compile_function
from keras_bld.diffusion import BernoulliNoiseSchedule
from keras_bld.diffusion.posterior import posterior_flip, transition_tables
from keras_bld.diffusion.reverse_step import flip_predictor
from keras_bld.diffusion.sampler import guided_logits, reverse_chain, run_chain
from keras_bld.diffusion.sampling import FINALS, TEMPERINGS, Sampling, uniform_grid
from keras_bld.diffusion.targets import TARGETS

POSTERIORS = ("exact", "plug_in")
T = 8


def uniforms(num_steps, batch_shape, seed=0):
    return np.random.default_rng(seed).random((num_steps + 1, *batch_shape), "float32")


def chain(predict_flip, schedule, num_steps, return_trajectory=False, **settings):
    """A function (noise, *known) -> codes; the rows of `noise` are the draws."""
    grid = uniform_grid(schedule.num_training_steps, num_steps)
    num_calls = Sampling(corrector_steps=settings.get("corrector_steps", 0)).num_calls(num_steps)

    def function(noise, *known):
        def draw(number):
            return ops.take(noise, number, axis=0)

        step = reverse_chain(predict_flip, draw, schedule, grid, known=known or None, **settings)
        start = ops.cast(draw(0) < 0.5, "float32")
        return run_chain(step, start, num_calls, return_trajectory)

    return function


def sample(predict_flip, noise, schedule=None, known=None, **settings):
    """The chain, compiled; NumPy in and out."""
    schedule = schedule or BernoulliNoiseSchedule(T)
    num_steps = settings.pop("num_steps", len(noise) - 1)
    function = chain(predict_flip, schedule, num_steps, **settings)
    return to_numpy(compile_function(function, list)(noise, *(known or ())))


def oracle(codes):
    """Knows z^0, and so which bits of z^t differ from it."""
    return lambda noisy, time_steps: ops.abs(ops.convert_to_tensor(codes) - noisy)


@pytest.mark.parametrize("name", MODELS)
def test_published_trajectory(name):
    published = published_arrays(f"{name}/trajectory")
    model = tiny_model(published_denoiser(name))
    states = model.generate_codes(
        3,
        labels=condition_of(name),
        num_steps=NUM_STEPS,
        temperature=float(published["temperature"]),
        guidance_scale=float(published["omega"]),
        **SAMPLER,
        noise=as_grid(published["uniforms"]),
        return_trajectory=True,
    )
    assert states.dtype == np.float32
    np.testing.assert_array_equal(states, as_grid(published["z_all"]))


@pytest.mark.parametrize("num_steps", [1, 3, T])
def test_an_oracle_gives_back_the_code(num_steps):
    codes = random_codes(6)
    noise = uniforms(num_steps, codes.shape)
    for posterior in POSTERIORS:
        for final in FINALS:
            made = sample(oracle(codes), noise, posterior=posterior, final=final)
            np.testing.assert_array_equal(made, codes, f"{posterior}, {final}")


def oracle_logits(target, codes, schedule):
    """What an all-knowing network says for each target."""
    steps = np.arange(1, schedule.num_training_steps + 1)
    tables = transition_tables(schedule.k, steps, steps - 1)

    def logits(noisy, time_steps):
        truth = ops.convert_to_tensor(codes)
        different = ops.abs(truth - noisy)
        if target == "residual":
            return 60.0 * (2.0 * different - 1.0)
        if target in ("z0", "extrinsic"):
            return 60.0 * (2.0 * truth - 1.0)
        rows = ops.take(ops.convert_to_tensor(tables), time_steps - 1, axis=0)
        columns = ops.split(rows[:, None, None, :], 4, axis=-1)
        flip = posterior_flip(different, columns)
        one = ops.clip(noisy * (1.0 - flip) + (1.0 - noisy) * flip, 1e-7, 1.0 - 1e-7)
        return ops.log(one) - ops.log(1.0 - one)

    return logits


@pytest.mark.parametrize("target", TARGETS)
def test_an_oracle_of_each_target_gives_back_the_code(target):
    codes, schedule = random_codes(6), BernoulliNoiseSchedule(T)
    denoiser = StubDenoiser(oracle_logits(target, codes, schedule))
    model = tiny_model(denoiser, schedule, target=target)
    made = model.generate_codes(6, temperature=1.0, seed=3)
    np.testing.assert_array_equal(made, codes)
    assert model.can_skip_steps == (target != "previous")
    if target == "previous":
        with pytest.raises(ValueError, match="`num_steps`: received 4; expected 8, all steps"):
            model.generate_codes(6, num_steps=4)


def bayes(prior, schedule):
    """P(z^0 != z^t | z^t) of independent bits with P(z^0 = 1) = prior."""

    def predict(noisy, time_steps):
        levels = ops.take(ops.convert_to_tensor(schedule.k, "float32"), time_steps)
        differ = (1.0 - levels[:, None, None, None]) / 2.0
        same = noisy * prior + (1.0 - noisy) * (1.0 - prior)  # P(z^0 = z^t) before z^t is seen
        flipped = (1.0 - same) * differ
        return flipped / (flipped + same * (1.0 - differ))

    return predict


@pytest.mark.parametrize("num_steps", [1, 2, T])
def test_exact_chain_samples_the_prior_of_independent_bits(num_steps):
    """With the true prediction the reverse chain has no bias, however many steps it skips."""
    shape, prior = (1, 50, 50, 8), 0.8
    schedule = BernoulliNoiseSchedule(T, "cos")
    noise = uniforms(num_steps, shape)
    share = sample(bayes(prior, schedule), noise, schedule, final="sample").mean()
    assert abs(share - prior) < 5 * (prior * (1 - prior) / 20000) ** 0.5
    if num_steps == T:  # the plug-in posterior pulls the bits towards fair coins
        settings = {"final": "sample", "posterior": "plug_in"}
        assert sample(bayes(prior, schedule), noise, schedule, **settings).mean() < 0.75


def test_corrections_keep_the_prior_of_independent_bits():
    """Neither a Psi-sampler nor redraws have a bias, at any number of steps."""
    shape, prior = (1, 50, 50, 8), 0.8
    schedule = BernoulliNoiseSchedule(T, "cos")
    for kappa, corrector_steps in ((0.6, 0), (1.0, 2), (0.9, 1)):
        share = sample(
            bayes(prior, schedule),
            uniforms(3 + 2 * corrector_steps, shape),
            schedule,
            num_steps=3,
            final="sample",
            kappa=kappa,
            corrector_steps=corrector_steps,
            corrector_share=0.5,
        ).mean()
        assert abs(share - prior) < 5 * (prior * (1 - prior) / 20000) ** 0.5


def test_corrections_change_the_path_and_not_the_draws():
    codes, noise = random_codes(3), uniforms(7, (3, *random_codes(3).shape[1:]))
    schedule = BernoulliNoiseSchedule(T)
    settings = {"num_steps": 3, "corrector_steps": 2, "corrector_share": 1.0, "kappa": 0.5}
    states = sample(bayes(0.3, schedule), noise, return_trajectory=True, **settings)
    assert states.shape == (8, *codes.shape)
    # A redraw of all bits of independent ones asks nothing of the state: k_s 0.3 + (1 - k_s) / 2.
    for place, t in ((2, 4), (3, 4), (5, 1), (6, 1)):
        one = schedule.k[t] * 0.3 + (1 - schedule.k[t]) / 2
        np.testing.assert_array_equal(states[place], noise[place] < np.float32(one))
    check_eager_equals_compiled(chain(bayes(0.3, schedule), schedule, **settings), noise)


PAIR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")


def pair_oracle(share_of_a, schedule):
    """Log odds of a and b given the other's z^t, where P(b = a | a) = 0.95."""
    shares = np.array([1 - share_of_a, 1 - share_of_a, share_of_a, share_of_a])
    shares = (shares * [0.95, 0.05, 0.05, 0.95]).astype("float32")

    def logits_of(noisy, time_steps):
        keep = 1.0 - ops.take(ops.convert_to_tensor(schedule.b, "float32"), time_steps)
        keep = keep[:, None, None]
        differ = ops.abs(noisy[:, 0, 0, None, :] - ops.convert_to_tensor(PAIR))
        fits = differ * (1.0 - keep) + (1.0 - differ) * keep
        columns = []
        for bit in range(2):
            weight = ops.convert_to_tensor(shares) * fits[:, :, 1 - bit]
            one = ops.sum(weight * ops.convert_to_tensor(PAIR[:, bit]), axis=1)
            columns.append(ops.log(one) - ops.log(ops.sum(weight, axis=1) - one))
        return ops.stack(columns, axis=-1)[:, None, None, :]

    return logits_of


def filled_in(share_of_a, schedule, num_steps, corrector_steps=0, **settings):
    """P(b = 1 | a = 1) of inpainting, by a perfect denoiser."""
    shape = (30000, 1, 1, 2)
    known = np.broadcast_to(np.array([1.0, 0.0], "float32"), shape)
    num_calls = Sampling(corrector_steps=corrector_steps).num_calls(num_steps)
    made = sample(
        flip_predictor(pair_oracle(share_of_a, schedule), "extrinsic", schedule),
        uniforms(num_calls, shape),
        schedule,
        known=(known, known),
        num_steps=num_steps,
        corrector_steps=corrector_steps,
        final="sample",
        **settings,
    )
    assert made[..., 0].all()
    return made[..., 1].mean()


def test_redraws_bring_inpainting_to_what_is_right():
    """P(b = 1 | a = 1) = 0.95, for an even and for a rare a (1 in 50)."""
    schedule = BernoulliNoiseSchedule(256, "cos")
    for share_of_a, noised, clean, num_steps, corrector_steps in (
        (0.5, 0.783, 0.842, 16, 3),
        (0.02, 0.187, 0.199, 64, 3),
    ):
        few = {"num_steps": 16, "schedule": schedule}
        assert filled_in(share_of_a, **few, known_bits="noised") == pytest.approx(noised, abs=0.01)
        assert filled_in(share_of_a, **few) == pytest.approx(clean, abs=0.01)
        right = filled_in(share_of_a, schedule, num_steps, corrector_steps, corrector_share=0.5)
        assert right == pytest.approx(0.95, abs=0.01)


ATOMS = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 0, 1]], "float32")


def extrinsic_oracle(shares, schedule):
    """Log odds of each of three bits given the other two's z^t, for codes that are `ATOMS`."""

    def logits_of(noisy, time_steps):
        level = 1.0 - ops.take(ops.convert_to_tensor(schedule.b, "float32"), time_steps)
        keep = level[:, None, None]  # P(z^t = z^0)
        differ = ops.abs(
            noisy[:, 0, 0, None, :] - ops.convert_to_tensor(ATOMS)
        )  # (batch, atom, bit)
        fits = differ * (1.0 - keep) + (1.0 - differ) * keep
        columns = []
        for bit in range(3):
            others = [each for each in range(3) if each != bit]
            weight = ops.convert_to_tensor(shares) * fits[:, :, others[0]] * fits[:, :, others[1]]
            one = ops.sum(weight * ops.convert_to_tensor(ATOMS[:, bit]), axis=1)
            columns.append(ops.log(one) - ops.log(ops.sum(weight, axis=1) - one))
        return ops.stack(columns, axis=-1)[:, None, None, :]

    return logits_of


def test_tempering_what_the_network_adds_comes_nearer_to_the_tempered_distribution():
    """Against p^(1 / temperature) of a code of three bits that can be enumerated."""
    shares, temperature, count = np.array([0.4, 0.3, 0.2, 0.1], "float32"), 0.5, 20000
    schedule = BernoulliNoiseSchedule(64)
    wanted = shares ** (1 / temperature) / np.sum(shares ** (1 / temperature))
    far = {}
    for tempering in TEMPERINGS:
        oracle = extrinsic_oracle(shares, schedule)
        predict = flip_predictor(oracle, "extrinsic", schedule, temperature, tempering)
        made = sample(predict, uniforms(64, (count, 1, 1, 3)), schedule, final="sample")
        found = np.all(made[:, 0, 0, None, :] == ATOMS, axis=-1).mean(axis=0)
        far[tempering] = (np.abs(found - wanted).sum() + 1.0 - found.sum()) / 2.0
    assert far["extrinsic"] < 0.6 * far["logits"], far


def test_at_temperature_1_nothing_is_tempered():
    schedule, noisy = BernoulliNoiseSchedule(T), ops.convert_to_tensor(random_codes(4))
    time_steps = ops.convert_to_tensor(np.array([1, 3, 5, T], "int32"))
    for target in TARGETS:
        plain, tempered = (
            flip_predictor(lambda codes, time: 2.0 * codes - 0.7, target, schedule, 1.0, tempering)
            for tempering in TEMPERINGS
        )
        np.testing.assert_allclose(
            to_numpy(plain(noisy, time_steps)), to_numpy(tempered(noisy, time_steps)), atol=1e-6
        )


def test_known_bits_are_shown_clean_or_as_noised_as_the_others():
    codes, mask = random_codes(4), np.zeros((4, 2, 2, 4), "float32")
    mask[:, 0] = 1.0
    schedule = BernoulliNoiseSchedule(T)

    def known_of(noisy, time_steps):  # flips what is unknown if the known bits are as given
        right = ops.all(ops.equal(noisy[:, :1], codes[:, :1]), axis=(1, 2, 3), keepdims=True)
        return ops.cast(right, "float32") + 0.0 * noisy

    noise = uniforms(1, codes.shape)
    known, settings = (codes, mask), {"schedule": schedule, "final": "threshold"}
    clean = sample(known_of, noise, known=known, **settings)
    np.testing.assert_array_equal(clean[:, 1], (noise[0] >= 0.5)[:, 1])
    noised = sample(known_of, noise, known=known, known_bits="noised", **settings)
    np.testing.assert_array_equal(noised[:, 1], (noise[0] < 0.5)[:, 1])


@pytest.mark.parametrize("final", FINALS)
def test_known_bits_carry_the_noise_of_their_step_and_end_as_given(final):
    shape = (2, 40, 40, 8)
    codes, other = random_codes(2, 1, shape[1:]), random_codes(2, 2, shape[1:])
    mask = np.zeros(shape, "float32")
    mask[:, :20] = 1.0
    states = sample(
        oracle(other),
        uniforms(4, shape),
        known=(codes, mask),
        final=final,
        return_trajectory=True,
    )
    assert states.shape == (5, *shape)
    np.testing.assert_array_equal(states[-1][:, :20], codes[:, :20])
    np.testing.assert_array_equal(states[-1][:, 20:], other[:, 20:])
    # Linear schedule, T = 8: after the steps to t = 5, 3, 1, k_t = 1 - t / 8.
    grid = uniform_grid(T, 4)
    assert grid.tolist() == [8, 5, 3, 1]
    for state, t in zip(states, grid, strict=False):
        differ = abs(state - codes)[:, :20].mean()
        assert abs(differ - t / T / 2) < 5 * 0.5 / 12800**0.5


def test_trajectory_starts_with_coin_flips_and_ends_with_the_result():
    codes = random_codes(3)
    noise = uniforms(5, codes.shape)
    made = sample(bayes(0.3, BernoulliNoiseSchedule(T)), noise)
    states = sample(bayes(0.3, BernoulliNoiseSchedule(T)), noise, return_trajectory=True)
    assert states.shape == (6, *codes.shape)
    np.testing.assert_array_equal(states[0], noise[0] < 0.5)
    np.testing.assert_array_equal(states[-1], made)
    assert set(np.unique(states)) == {0.0, 1.0}


def test_final_step_thresholds_or_samples():
    """A constant flip probability of 0.3: thresholding never flips, sampling does in 30 %."""
    shape = (1, 50, 50, 8)
    noise = uniforms(1, shape)

    def predict(noisy, time_steps):
        return ops.full_like(noisy, 0.3)

    start = noise[0] < 0.5
    np.testing.assert_array_equal(sample(predict, noise), start)
    flipped = sample(predict, noise, final="sample") != start
    assert abs(flipped.mean() - 0.3) < 5 * (0.21 / 20000) ** 0.5


def test_eager_equals_compiled():
    schedule = BernoulliNoiseSchedule(T)
    shape = (2, 2, 2, 4)

    check_eager_equals_compiled(chain(bayes(0.3, schedule), schedule, 3), uniforms(3, shape))


def test_guided_predictor_by_hand():
    """Logits (1 + w) l_c - w l_u over the temperature, of the target's meaning."""

    def denoiser(codes, time_steps, condition, present):
        given = ops.cast(condition, "float32")[:, None, None, None] + 0.0 * codes
        if present is None:
            return given
        return ops.where(present[:, None, None, None], given, -1.0)

    codes = ops.convert_to_tensor(np.array([0.0, 1.0], "float32").reshape(2, 1, 1, 1))
    time_steps = ops.ones((2,), "int32")
    labels = ops.convert_to_tensor(np.array([2, 3], "int32"))

    schedule = BernoulliNoiseSchedule(4)

    def flips(target, temperature, guidance_scale):
        scalars = [ops.convert_to_tensor(np.float32(x)) for x in (guidance_scale, temperature)]
        logits_of = guided_logits(denoiser, scalars[0], labels)
        predict = flip_predictor(logits_of, target, schedule, scalars[1])
        return to_numpy(predict(codes, time_steps)).ravel()

    def sigmoid(*logits):
        return 1 / (1 + np.exp(-np.array(logits)))

    np.testing.assert_allclose(flips("residual", 1.0, 0.0), sigmoid(2, 3), rtol=1e-5)
    # w = 1.5: 2.5 * 2 + 1.5 = 6.5 and 2.5 * 3 + 1.5 = 9.
    np.testing.assert_allclose(flips("residual", 2.0, 1.5), sigmoid(3.25, 4.5), rtol=1e-5)
    # A bit that is 1 is no flip where z^t is 1.
    np.testing.assert_allclose(flips("z0", 1.0, 0.0), sigmoid(2, -3), rtol=1e-5)
    # b_1 = 1/8: z^1 by itself is z^0 at odds of 7. Guidance leaves that alone, the temperature not.
    own = np.log(7)
    np.testing.assert_allclose(
        flips("extrinsic", 2.0, 1.5), sigmoid((6.5 - own) / 2, (-9 - own) / 2), rtol=1e-5
    )
