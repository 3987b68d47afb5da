import keras
import numpy as np
import pytest
from harness import run_in_new_process, to_numpy
from keras import ops
from small_models import (
    CODE_SHAPE,
    IMAGE_SHAPE,
    PixelAutoencoder,
    StubDenoiser,
    simple_logits,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.base import random as bld_random
from keras_bld.diffusion import BernoulliDenoiser
from keras_bld.diffusion.posterior import transition_tables
from keras_bld.diffusion.sampling import uniform_grid

TRACES = 0 if keras.config.backend() == "torch" else 1  # torch runs eagerly
TIES = 1e-3  # share of bits that may differ by rounding at a tie


class Recorder:
    """`simple_logits` that remember the batch size of each call in Python.

    On TensorFlow and JAX that is each time the function is traced, on torch each step.
    """

    def __init__(self):
        self.batches = []

    def __call__(self, codes, *inputs):
        self.batches.append(int(codes.shape[0]))
        return simple_logits(codes, *inputs)


def recorded_model(num_training_steps=8, num_classes=None, **settings):
    recorder = Recorder()
    denoiser = StubDenoiser(
        recorder, num_training_steps=num_training_steps, num_classes=num_classes
    )
    return tiny_model(denoiser, **settings), recorder


def uniforms_of(seed, count, num_steps):
    """The explicit noise that a seed stands for: (num_steps + 1, count, *CODE_SHAPE)."""
    indices = ops.arange(count, dtype="int32")
    draws = [bld_random.uniforms(seed, indices, s, CODE_SHAPE) for s in range(num_steps + 1)]
    return np.stack(to_numpy(draws))


def differing(first, second):
    return np.mean(first != second)


def test_a_seed_stands_for_its_codes_whatever_the_batch():
    model = tiny_model(tiny_denoiser(code_shape=(4, 4, 8)))
    codes = model.generate_codes(5, num_steps=4, seed=7, batch_size=2)
    assert codes.shape == (5, 4, 4, 8) and codes.dtype == np.float32
    assert set(np.unique(codes)) == {0.0, 1.0}
    settings = {"num_steps": 4, "seed": 7}
    assert differing(codes, model.generate_codes(5, **settings, batch_size=5)) <= TIES
    # Sample i is the same however many are asked for; the last batch is filled up with copies.
    assert differing(codes[:3], model.generate_codes(3, **settings, batch_size=2)) <= TIES
    assert model.num_traces == 2 * TRACES  # one for each batch size
    other = model.generate_codes(5, num_steps=4, seed=8, batch_size=2)
    assert differing(codes, other) > 0.2 and differing(codes[0], codes[1]) > 0.2


def test_explicit_noise_replays_a_seed():
    model, _ = recorded_model()
    made = model.generate_codes(3, num_steps=4, seed=11)
    noise = uniforms_of(11, 3, 4)
    np.testing.assert_array_equal(model.generate_codes(3, num_steps=4, noise=noise), made)
    np.testing.assert_array_equal(
        model.generate_codes(3, num_steps=4, noise=noise, batch_size=2), made
    )


def test_without_a_seed_pythons_random_state_decides():
    model, _ = recorded_model()
    keras.utils.set_random_seed(5)
    first, second = model.generate_codes(3), model.generate_codes(3)
    assert differing(first, second) > 0.1
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(model.generate_codes(3), first)


@pytest.mark.parametrize(
    ("posterior", "final", "tempering"),
    [("exact", "sample", "extrinsic"), ("plug_in", "threshold", "logits")],
)
def test_equals_numpy(posterior, final, tempering):
    """Algorithm 2 in NumPy: what each backend must give is the same, so they agree."""
    model, _ = recorded_model(num_training_steps=16, num_classes=4)
    labels, temperature, scale = np.array([0, 3, 1, 2, 3, 0]), 0.8, 1.5
    grid = uniform_grid(16, 6)
    noise = uniforms_of(3, 6, 6)
    codes = (noise[0] < 0.5).astype("float64")
    for index, t in enumerate(grid):
        s = 0 if index == 5 else grid[index + 1]
        logits = 2 * np.roll(codes, 1, axis=-1) - 1 + t / 7 - 0.5
        given = logits + 0.3 * labels[:, None, None, None]
        logits = (1 + scale) * given - scale * (logits - 0.21)
        spared = np.log((1 - model.schedule.b[t]) / model.schedule.b[t])
        spared = spared if tempering == "extrinsic" else 0.0
        flip = 1 / (1 + np.exp(spared - (logits + spared) / temperature))
        keep, signal, same, different = transition_tables(
            model.schedule.k, np.array([t]), np.array([s])
        )[0].astype("float64")
        if posterior == "exact":
            flip = same + (different - same) * flip
        elif s > 0:
            level = signal * flip + (1 - signal) / 2
            flip = (1 - keep) * level
            flip = flip / (flip + (1 + keep) * (1 - level))
        one = codes * (1 - flip) + (1 - codes) * flip
        threshold = final == "threshold" and s == 0
        codes = ((0.5 if threshold else noise[index + 1]) < one).astype("float64")
    made = model.generate_codes(
        6,
        labels=labels,
        num_steps=6,
        temperature=temperature,
        guidance_scale=scale,
        posterior=posterior,
        final=final,
        tempering=tempering,
        seed=3,
    )
    assert differing(made, codes) <= TIES


def test_changing_an_input_does_not_retrace():
    model, recorder = recorded_model(num_classes=4)
    settings = {"labels": 0, "temperature": 0.9, "guidance_scale": 0.0, "seed": 1, "num_steps": 4}
    made = [model.generate_codes(4, **settings)]
    calls = len(recorder.batches)
    for change in (
        {"seed": 2},
        {"temperature": 0.1},
        {"guidance_scale": 2.0},
        {"labels": [3, 2, 1, 0]},
        {"seed": 2**31 - 1, "temperature": 3, "guidance_scale": 7, "labels": np.int64(3)},
    ):
        made.append(model.generate_codes(4, **{**settings, **change}))
    assert model.num_traces == TRACES
    if TRACES:
        assert len(recorder.batches) == calls
    for index, codes in enumerate(made[1:], 1):
        assert (codes != made[0]).any(), f"change {index} changed nothing"


def test_guidance_is_one_call_on_a_doubled_batch():
    model, recorder = recorded_model(num_classes=4)
    model.generate_codes(3, labels=1, num_steps=5, guidance_scale=2.0)
    if TRACES:
        # The two branches of one loop body: guided, and not. (JAX may trace each more than once.)
        assert set(recorder.batches) == {6, 3}
        assert recorder.batches.count(6) == recorder.batches.count(3)
    else:
        assert recorder.batches == [6] * 5
        recorder.batches.clear()
        model.generate_codes(3, labels=1, num_steps=5, guidance_scale=0.0)
        assert recorder.batches == [3] * 5


def test_guidance_by_zero_is_no_guidance():
    model, _ = recorded_model(num_classes=4)
    labels = [0, 1, 3]
    plain = model.generate_codes(3, labels=labels, seed=1)
    tiny = model.generate_codes(3, labels=labels, seed=1, guidance_scale=1e-30)
    np.testing.assert_array_equal(plain, tiny)


def test_sixteen_more_steps_cost_sixteen_more_calls(monkeypatch):
    """The loop runs once a step, and its body holds one call of the denoiser."""
    counts, calls = [], []
    plain_loop = ops.fori_loop

    def counting_loop(lower, upper, body, start):
        counts.append(upper - lower)
        return plain_loop(lower, upper, body, start)

    monkeypatch.setattr(ops, "fori_loop", counting_loop)
    model, recorder = recorded_model(num_training_steps=64)
    for num_steps in (8, 24):
        recorder.batches.clear()
        model.generate_codes(3, num_steps=num_steps, seed=0)
        calls.append(len(recorder.batches))
    assert counts == [8, 24]
    if TRACES:
        assert calls[0] == calls[1]  # the body is traced, however long the loop
    else:
        assert calls == [8, 24]


def test_generate_decodes_the_codes():
    model = tiny_model(StubDenoiser(simple_logits), autoencoder=PixelAutoencoder())
    images = model.generate(5, num_steps=3, seed=2, batch_size=2)
    codes = model.generate_codes(5, num_steps=3, seed=2, batch_size=2)
    assert images.shape == (5, *IMAGE_SHAPE) and images.dtype == np.float32
    np.testing.assert_array_equal(images, model.autoencoder.decode(codes))
    batches = list(model.generate_batches(5, num_steps=3, seed=2, batch_size=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(batches), images)
    assert model.num_traces == TRACES


def test_generate_batches_works_only_when_asked(monkeypatch):
    model, recorder = recorded_model(autoencoder=PixelAutoencoder())
    decoded = []
    decode = PixelAutoencoder.decode

    def counting_decode(self, codes):
        decoded.append(len(codes))
        return decode(self, codes)

    monkeypatch.setattr(PixelAutoencoder, "decode", counting_decode)
    batches = model.generate_batches(10**6, batch_size=2, num_steps=3, seed=0)
    assert recorder.batches == decoded == []
    assert next(batches).shape == (2, *IMAGE_SHAPE)
    assert decoded == [2]
    next(batches)
    assert decoded == [2, 2]
    # Bad arguments raise at the call, not at the first `next`.
    with pytest.raises(ValueError, match="`temperature`"):
        model.generate_batches(2, temperature=0.0)


@pytest.mark.once
def test_progress_is_shown_by_default(progress_seen, capsys):
    model, _ = recorded_model(autoencoder=PixelAutoencoder())
    model.generate_codes(4, batch_size=2)
    assert progress_seen == ["generate of 4", 2, 4]
    model.generate(3, batch_size=2)
    assert progress_seen[3:] == ["generate of 3", 2, 3]
    model.inpaint(np.zeros((2, *IMAGE_SHAPE)), np.ones(IMAGE_SHAPE[:2]))
    assert progress_seen[6:] == ["inpaint of 2", 2]
    codes = model.likelihood(model.generate_codes(2, progress=False))
    assert progress_seen[8] == "likelihood of 8" and codes
    del progress_seen[:]
    model.generate(3, batch_size=2, progress=False)
    list(model.generate_batches(2))  # what happens between batches is the caller's
    assert progress_seen == []
    list(model.generate_batches(2, progress=True))
    assert progress_seen == ["generate of 2", 2]
    assert capsys.readouterr() == ("", "")


def test_conditions_reach_their_samples():
    model, recorder = recorded_model(num_classes=4)
    settings = {"seed": 4, "num_steps": 3, "batch_size": 2}
    mixed = model.generate_codes(5, labels=[0, 3, 0, 3, 3], **settings)
    for label in (0, 3):
        alone = model.generate_codes(5, labels=label, **settings)
        rows = np.array([0, 3, 0, 3, 3]) == label
        np.testing.assert_array_equal(mixed[rows], alone[rows])
    without = model.generate_codes(5, drop_condition=True, **settings)
    assert differing(without, mixed) > 0
    unconditional, _ = recorded_model()
    np.testing.assert_array_equal(without, unconditional.generate_codes(5, **settings))


def test_text_conditions():
    model = tiny_model(tiny_denoiser(text_width=6, text_conditioning="cross_attention"))
    text = 3 * np.random.default_rng(0).standard_normal((3, 5, 6))
    settings = {"seed": 4, "num_steps": 4, "guidance_scale": 4.0}
    codes = model.generate_codes(3, text_embeddings=text, **settings)
    assert codes.shape == (3, *CODE_SHAPE)
    swapped = model.generate_codes(3, text_embeddings=text[[1, 0, 2]], **settings)
    assert differing(codes[2], swapped[2]) <= TIES and differing(codes[:2], swapped[:2]) > 0
    assert model.num_traces == TRACES


BAD = [
    ({"num_images": 0}, "`num_images`: received 0"),
    ({"num_images": 2.0}, "`num_images`: received 2.0"),
    ({"num_steps": 0}, "`num_steps`: received 0; expected an integer >= 1"),
    ({"num_steps": 9}, r"`num_steps`: received 9; expected an integer in \[1, 8\]"),
    ({"temperature": 0.0}, "`temperature`: received 0.0; expected a finite number > 0"),
    ({"temperature": float("nan")}, "`temperature`: received nan"),
    ({"guidance_scale": -0.5}, "`guidance_scale`: received -0.5"),
    ({"posterior": "exakt"}, "`posterior`: received 'exakt'"),
    ({"final": "round"}, "`final`: received 'round'"),
    ({"seed": -1}, "`seed`: received -1"),
    ({"seed": 2**31}, "`seed`: received 2147483648"),
    ({"batch_size": 0}, "`batch_size`: received 0"),
    ({"noise": np.zeros((9, 2, *CODE_SHAPE)), "seed": 1}, "`noise`: received noise and a seed"),
    ({"noise": np.zeros((8, 2, *CODE_SHAPE))}, r"`noise`: received shape \(8, 2, 2, 2, 4\)"),
    ({"noise": np.ones((9, 2, *CODE_SHAPE))}, "`noise`: received values from 1.0 to 1.0"),
    ({"noise": np.full((9, 2, *CODE_SHAPE), np.nan)}, "`noise`: received values from nan"),
]
BAD_WITHOUT_CONDITION = [
    ({"labels": [0, 1]}, "`labels`: .* the model is unconditional"),
    ({"text_embeddings": np.zeros((2, 6))}, "`text_embeddings`: .* not conditioned on text"),
    ({"guidance_scale": 1.0}, "`guidance_scale`: received 1.0 without a condition"),
]
BAD_LABELS = [
    ({}, r"`labels`: received none; expected 2 integers in \[0, 3\]"),
    ({"labels": [0, 4]}, r"`labels`: received 4; expected an integer in \[0, 3\]"),
    ({"labels": -1}, "`labels`: received values from -1 to -1"),
    ({"labels": [0, 1, 2]}, r"`labels`: received shape \(3,\)"),
    ({"labels": [0.0, 1.0]}, "`labels`: received 0.0; expected an integer"),
    ({"labels": 1, "text_embeddings": np.zeros((2, 6))}, "`text_embeddings`"),
    ({"drop_condition": True, "guidance_scale": 1.0}, "`guidance_scale`: .* without a condition"),
]
BAD_TEXT = [
    ({}, r"`text_embeddings`: received none; expected shape \(2, 6\)"),
    ({"labels": [0, 1]}, "`labels`: .* the model is conditioned on text"),
    ({"text_embeddings": np.zeros((2, 5))}, r"`text_embeddings`: received shape \(2, 5\)"),
    ({"text_embeddings": np.zeros((3, 6))}, "`text_embeddings`: received 3 rows"),
    ({"text_embeddings": np.full((2, 6), np.inf)}, "`text_embeddings`: received NaN or infinity"),
]


@pytest.mark.once
@pytest.mark.parametrize(
    "denoiser, cases",
    [
        ({}, BAD + BAD_WITHOUT_CONDITION),
        ({"num_classes": 4}, BAD_LABELS),
        ({"text_width": 6}, BAD_TEXT),
    ],
)
def test_refuses(denoiser, cases):
    model = tiny_model(tiny_denoiser(**denoiser), autoencoder=PixelAutoencoder())
    for settings, message in cases:
        arguments = {"num_images": 2, **settings}
        with pytest.raises(ValueError, match=message):
            model.generate_codes(**arguments)
        if "noise" not in settings:
            with pytest.raises(ValueError, match=message):
                model.generate(**arguments)
    assert model.num_traces == 0


@pytest.mark.once
def test_images_need_an_autoencoder():
    model = tiny_model()
    for call in (lambda: model.generate(1), lambda: model.generate_batches(1)):
        with pytest.raises(ValueError, match="`autoencoder`: received generate on a model without"):
            call()


@pytest.mark.once
def test_an_inference_engine_stands_in_for_the_compiled_sampler():
    model = tiny_model(StubDenoiser(simple_logits))
    calls = []

    class Engine:
        num_traces = 5

        def sampler(self, sampling, batch_size, return_trajectory):
            def sample(seed, first_index, **inputs):
                calls.append((sampling.num_steps, int(seed), int(first_index), sorted(inputs)))
                return np.ones((batch_size, *CODE_SHAPE), "float32")

            return sample

    model._inference_engine = Engine()
    codes = model.generate_codes(5, num_steps=3, seed=7, batch_size=2)
    assert codes.shape == (5, *CODE_SHAPE) and codes.all()
    scalars = ["guidance_scale", "temperature"]
    assert calls == [(3, 7, first, scalars) for first in (0, 2, 4)]
    assert model.num_traces == 5


ACROSS = """
import numpy as np, keras_bld
from keras_bld.diffusion import *
denoiser = BernoulliDenoiser((4, 4, 16), 2, 32, 4, 16, num_classes=5)
with np.load({weights!r}) as file:
    denoiser.set_weights([file[name] for name in file.files])
model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(16))
codes = model.generate_codes(6, labels=[0, 1, 2, 3, 4, 0], seed=9, guidance_scale=1.0)
np.save({result!r}, codes)
"""


@pytest.mark.once
@pytest.mark.slow
def test_one_seed_gives_the_same_codes_on_every_backend(tmp_path):
    denoiser = BernoulliDenoiser((4, 4, 16), 2, 32, 4, 16, num_classes=5)
    # Larger than at the start of training, so that the logits are like a trained network's.
    weights = [2.0 * weight for weight in denoiser.get_weights()]
    np.savez(tmp_path / "weights.npz", *weights)
    made = {}
    for backend in ("tensorflow", "jax", "torch"):
        result = str(tmp_path / f"{backend}.npy")
        program = ACROSS.format(weights=str(tmp_path / "weights.npz"), result=result)
        run_in_new_process(program, backend=backend)
        made[backend] = np.load(result)
        assert made[backend].shape == (6, 4, 4, 16)
    assert 0.1 < made["jax"].mean() < 0.9
    for backend in ("tensorflow", "torch"):
        assert differing(made[backend], made["jax"]) <= TIES, backend


@pytest.mark.once
def test_predict_says_what_gives_images():
    model, _ = recorded_model()
    for predict in (model.predict, model.predict_on_batch):
        with pytest.raises(ValueError, match="call generate"):
            predict(np.zeros((2, *CODE_SHAPE), "float32"))
