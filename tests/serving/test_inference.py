"""`compile_for_inference`: the results of the plain path, and the plain path where it fails."""

import sys

import numpy as np
import pytest
from diffusion.tiny import (
    IMAGE_SHAPE,
    PixelAutoencoder,
    StubDenoiser,
    simple_logits,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.base import random as bld_random
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

pytest.importorskip("openvino")
NUM_STEPS = 4
CONDITIONS = {
    None: {},
    "class": {"num_classes": 5},
    "token": {"text_width": 6},
    "cross_attention": {"text_width": 6, "text_conditioning": "cross_attention"},
}
# Share of bits that may differ: ties in float32; in bfloat16 also what follows from them.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.03}


def larger_weights(*networks, seed=0):
    """Weights as a trained network's may be: no scale is 1, no offset is 0."""
    random = np.random.default_rng(seed)
    for network in networks:
        for variable in network.trainable_variables:
            variable.assign(variable + 0.1 * random.normal(size=variable.shape))


@pytest.fixture
def make_model(make_autoencoder):
    def make(kind=None, target="residual", with_autoencoder=False):
        denoiser = BernoulliDenoiser(
            (4, 4, 4), 1, 16, 2, num_training_steps=NUM_STEPS, **CONDITIONS[kind]
        )
        autoencoder = make_autoencoder() if with_autoencoder else None
        larger_weights(denoiser, *([autoencoder] if with_autoencoder else []))
        schedule = BernoulliNoiseSchedule(NUM_STEPS)
        return BinaryLatentDiffusion(denoiser, schedule, autoencoder, target)

    return make


def conditions_of(kind, count):
    random = np.random.default_rng(1)
    return {
        None: {},
        "class": {"labels": np.arange(count) % 5},
        "token": {"text_embeddings": random.normal(size=(count, 6))},
        "cross_attention": {"text_embeddings": random.normal(size=(count, 3, 6))},
    }[kind]


def on_both_paths(model, function, precisions=("float32",)):
    """What `function` returns on the plain path, and on the fast one for each precision.

    The fast path, in the last precision, stays on.
    """
    model.compile_for_inference(None)
    made = [function()]
    for precision in precisions:
        assert model.compile_for_inference("openvino", precision)
        made.append(function())
    return made


def differing(first, second):
    assert first.shape == second.shape and first.dtype == second.dtype
    return np.mean(first != second)


@pytest.mark.parametrize("kind", list(CONDITIONS))
def test_codes_are_those_of_the_plain_path(make_model, kind):
    model = make_model(kind)
    settings = {"seed": 3, "batch_size": 4}
    condition = conditions_of(kind, 6)
    changes = [{**condition}]
    if kind is not None:
        changes += [{**condition, "guidance_scale": 8.0}, {"drop_condition": True}]

    def made():
        return np.stack([model.generate_codes(6, **settings, **change) for change in changes])

    plain, *fast = on_both_paths(model, made, TOLERANCE)
    for codes, tolerance in zip(fast, TOLERANCE.values(), strict=True):
        assert differing(plain, codes) <= tolerance
    assert set(np.unique(plain)) == {0.0, 1.0}
    for first, second in zip(plain[:-1], plain[1:], strict=True):
        assert differing(first, second) > 0


@pytest.mark.parametrize(
    "target, posterior, final",
    [
        ("residual", "exact", "sample"),
        ("z0", "plug_in", "threshold"),
        ("extrinsic", "exact", "threshold"),
        ("previous", "plug_in", "sample"),
    ],
)
def test_every_way_to_sample(make_model, target, posterior, final):
    model = make_model(target=target)
    noise = np.random.default_rng(2).random((NUM_STEPS + 1, 6, 4, 4, 4), dtype="float32")
    settings = {"posterior": posterior, "final": final, "batch_size": 4}
    settings |= {"noise": noise, "return_trajectory": True, "temperature": 0.7}
    plain, fast = on_both_paths(model, lambda: model.generate_codes(6, **settings))
    assert fast.shape == (NUM_STEPS + 1, 6, 4, 4, 4)
    assert differing(plain, fast) <= TOLERANCE["float32"]


def test_noise_is_that_of_the_seed(make_model):
    model = make_model()
    assert model.compile_for_inference(precision="float32")
    draws = [
        np.asarray(bld_random.uniforms(9, np.arange(3), step, (4, 4, 4)))
        for step in range(NUM_STEPS + 1)
    ]
    made = model.generate_codes(3, seed=9, batch_size=2)
    np.testing.assert_array_equal(model.generate_codes(3, noise=np.stack(draws)), made)


def test_images_and_inpainting():
    denoiser = tiny_denoiser(num_classes=5)
    larger_weights(denoiser)
    model = tiny_model(denoiser, autoencoder=PixelAutoencoder())
    images = np.random.default_rng(0).random((4, *IMAGE_SHAPE), dtype="float32")
    mask = np.zeros(IMAGE_SHAPE[:2])
    mask[:2] = 1
    settings = {"labels": 1, "seed": 2, "batch_size": 4}

    def made():
        return np.stack(
            [
                model.generate(4, **settings),
                np.concatenate(list(model.generate_batches(4, **settings))),
                model.inpaint(images, mask, **settings, guidance_scale=1.0),
            ]
        )

    plain, fast = on_both_paths(model, made)
    assert plain.shape == fast.shape == (3, 4, *IMAGE_SHAPE)
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    np.testing.assert_array_equal(fast[2, :, 2:], images[:, 2:])


def test_the_autoencoder_of_a_model_becomes_fast_with_it(make_model):
    model = make_model(with_autoencoder=True)
    assert model.compile_for_inference()
    codes = model.generate_codes(3, seed=2)
    np.testing.assert_array_equal(model.generate(3, seed=2), model.autoencoder.decode(codes))
    assert model.autoencoder._batched_decode.num_traces == 0
    assert not model.compile_for_inference(None)
    assert model.autoencoder._batched_decode.substitute is None


def test_autoencoder_alone(make_autoencoder):
    autoencoder = make_autoencoder()
    larger_weights(autoencoder)
    images = np.random.default_rng(0).random((5, 8, 8, 3), dtype="float32")
    levels = (images * 255).astype("uint8")

    def made():
        probabilities = autoencoder.encode_probabilities(levels, batch_size=4)
        sampled = autoencoder.encode(images, deterministic=False, seed=3, batch_size=4)
        codes = autoencoder.encode(images, batch_size=4)
        return probabilities, autoencoder.decode(codes, batch_size=4), codes, sampled

    plain, exact, rough = on_both_paths(autoencoder, made, TOLERANCE)
    for fast, tolerance, share in ((exact, 1e-5, 0.0), (rough, 0.1, 0.05)):
        np.testing.assert_allclose(fast[0], plain[0], atol=tolerance)
        for bits, expected in zip(fast[2:], plain[2:], strict=True):
            assert differing(bits, expected) <= share
    np.testing.assert_allclose(exact[1], plain[1], atol=1e-5)
    rough = autoencoder.decode(plain[2])
    assert np.abs(rough - plain[1]).mean() < 0.01
    np.testing.assert_array_equal(rough, autoencoder.decode(plain[2], batch_size=2))
    with pytest.raises(ValueError, match=r"`images`: received shape \(5, 8, 8\)"):
        autoencoder.encode(images[..., 0])
    with pytest.raises(ValueError, match="`codes`: received values such as 2.0"):
        autoencoder.decode(plain[2] + 1)


def test_new_arguments_do_not_compile_again(make_model):
    model = make_model("class")
    assert model.compile_for_inference()
    assert model.num_traces == 1
    settings = {"labels": 0, "seed": 1, "temperature": 0.9, "guidance_scale": 0.0}
    made = [model.generate_codes(4, **settings)]
    for change in (
        {"seed": 2},
        {"temperature": 0.1},
        {"guidance_scale": 2.0},
        {"labels": [3, 2, 1, 0]},
        {"batch_size": 3},
        {"num_steps": 2, "posterior": "plug_in", "final": "sample"},
    ):
        made.append(model.generate_codes(4, **{**settings, **change}))
    assert model.num_traces == 1
    changed = [differing(made[0], codes) for codes in made[1:]]
    assert all(share > 0 for share in (*changed[:4], changed[5]))
    assert changed[4] == 0  # the batch size


@pytest.mark.parametrize("change", ["set_weights", pytest.param("fit", marks=pytest.mark.slow)])
def test_changed_weights_are_noticed(make_model, change):
    model = make_model()

    def call():
        return model.generate_codes(2, seed=5)

    before = on_both_paths(model, call)[1]
    assert model.num_traces >= 1
    compiled = model._inference_engine.num_traces
    if change == "fit":
        model.compile("sgd")
        model.optimizer.learning_rate = 3.0
        codes = np.random.default_rng(0).integers(0, 2, (8, 4, 4, 4))
        model.fit(codes, epochs=2, verbose=0)
    else:
        model.denoiser.set_weights([2.0 * weight for weight in model.denoiser.get_weights()])
    after = call()
    assert model._inference_engine.num_traces == compiled + 1
    assert differing(before, after) > 0.1
    model.compile_for_inference(None)
    np.testing.assert_allclose(after, call(), atol=1e-5)


def test_guidance_is_one_call_on_a_doubled_batch(make_model):
    model = make_model("class")
    model.compile_for_inference(precision="float32")
    batches = []
    program = model._inference_engine._program

    def recording(**inputs):
        batches.append(len(inputs["codes"]))
        return program(**inputs)

    model._inference_engine._program = recording
    recording.refresh = program.refresh
    model.generate_codes(3, labels=1, guidance_scale=2.0)
    assert batches == [6] * NUM_STEPS
    batches.clear()
    model.generate_codes(3, labels=1)
    assert batches == [3] * NUM_STEPS


@pytest.mark.once
def test_refuses_unknown_names(make_model, make_autoencoder):
    for model in (make_model(), make_autoencoder()):
        with pytest.raises(ValueError, match="`target`: received 'tensorrt'; expected one of 'op"):
            model.compile_for_inference("tensorrt")
        with pytest.raises(ValueError, match="`precision`: received 'int8'"):
            model.compile_for_inference(precision="int8")


def test_without_openvino_the_plain_path_stays(make_autoencoder, monkeypatch):
    autoencoder = make_autoencoder()
    codes = np.zeros((1, 4, 4, 4))
    plain = autoencoder.decode(codes)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.warns(RuntimeWarning, match=r"plain path stays. OpenVINO is not installed: pip"):
        assert not autoencoder.compile_for_inference()
    np.testing.assert_array_equal(autoencoder.decode(codes), plain)


def test_what_cannot_be_converted_stays_on_the_plain_path():
    model = tiny_model(StubDenoiser(simple_logits))
    plain = model.generate_codes(2, seed=1)
    with pytest.warns(RuntimeWarning, match="plain path stays. .*received a StubDenoiser"):
        assert not model.compile_for_inference()
    np.testing.assert_array_equal(model.generate_codes(2, seed=1), plain)


@pytest.mark.once
def test_without_bfloat16_it_runs_in_float32(make_autoencoder, monkeypatch):
    from keras_bld.serving import inference, openvino_program

    for module in (inference, openvino_program):
        monkeypatch.setattr(module, "has_bfloat16", lambda core: False)
    autoencoder = make_autoencoder()
    codes = np.random.default_rng(0).integers(0, 2, (2, 4, 4, 4))
    plain = autoencoder.decode(codes)
    with pytest.warns(RuntimeWarning, match="no bfloat16: OpenVINO runs the model in float32"):
        assert autoencoder.compile_for_inference()
    np.testing.assert_allclose(autoencoder.decode(codes), plain, atol=1e-5)
