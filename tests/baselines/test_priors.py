"""The baseline priors: each learns a known distribution, and keeps the rules of its method."""

import types

import keras
import numpy as np
import pytest
from harness import QUICK_CHECK, check_keras_layer_of_several
from keras import ops

from keras_bld import baselines
from keras_bld.diffusion import BernoulliDenoiser, Sampling

SHAPE = (2, 2, 4)


def denoiser(num_training_steps=8, num_classes=None):
    return BernoulliDenoiser(
        SHAPE, 1, 32, 2, num_training_steps=num_training_steps, num_classes=num_classes
    )


MAKERS = {
    "absorbing": lambda **options: baselines.AbsorbingDiffusion(denoiser(**options)),
    "masked_bits": lambda **options: baselines.MaskedBitPrior(denoiser(**options)),
    "autoregressive": lambda **options: baselines.AutoregressivePrior(
        baselines.CausalTransformer(SHAPE, 1, 32, 2, **options)
    ),
}


def constant_codes(num_codes):
    """All bits of a code are equal, 0 or 1; the class says which."""
    labels = np.arange(num_codes) % 2
    return np.broadcast_to(labels[:, None, None, None], (num_codes, *SHAPE)), labels


@pytest.mark.parametrize("name", MAKERS)
def test_it_learns_what_the_class_says(name):
    codes, labels = constant_codes(64)
    model = MAKERS[name](num_classes=2)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(codes, labels, batch_size=32, epochs=30, verbose=0)
    made = model.generate_codes(16, labels=np.arange(16) % 2, guidance_scale=0.5, seed=0)
    assert np.mean(made == constant_codes(16)[0]) > 0.97
    assert set(np.unique(made)) <= {0.0, 1.0}
    # A code depends on the seed and its place, not on the batch it is in.
    few = model.generate_codes(16, labels=np.arange(16) % 2, guidance_scale=0.5, seed=0,
                               batch_size=5)  # fmt: skip
    np.testing.assert_array_equal(few, made)
    assert np.any(model.generate_codes(16, labels=0, seed=1, temperature=50.0) == 1)


@pytest.mark.parametrize("name", MAKERS)
def test_config(name):
    model = MAKERS[name]()
    again = type(model).from_config(model.get_config())
    assert again.code_shape == SHAPE and again.get_config().keys() == model.get_config().keys()
    # What belongs to the Bernoulli diffusion alone is not there.
    for name in ("inpaint", "likelihood", "schedule"):
        assert not hasattr(model, name)


def predict(model, logit):
    """Replace the network by one constant logit."""
    model.denoiser.call = lambda codes, *_: ops.full(codes.shape, logit)
    return model


def sampling_of(model, num_steps):
    """What `make_step` gets."""
    grid = model.time_grid(Sampling(num_steps))
    return types.SimpleNamespace(temperature=1.0, time_steps=grid)


def test_absorbing_reveals_as_the_schedule_says():
    model = predict(MAKERS["absorbing"](), 0.0)
    codes = np.full((500, *SHAPE), 0.5, "float32")
    draws = np.random.default_rng(0).random((2, 500, *SHAPE), "float32")

    step = model.make_step(
        sampling_of(model, 4),
        lambda codes, _: codes * 0.0,
        lambda number: ops.convert_to_tensor(draws[number % 2]),
    )

    def next_codes(index, codes):
        return ops.convert_to_numpy(step(np.int32(index), ops.convert_to_tensor(codes)))

    first = next_codes(0, codes)  # t: 8 -> 5
    assert np.mean(first != 0.5) == pytest.approx(3 / 8, abs=0.02)
    last = next_codes(3, first)  # 1 -> 0 reveals all that is left, and keeps what was there
    assert np.all(last != 0.5)
    np.testing.assert_array_equal(last[first != 0.5], first[first != 0.5])


def test_the_bound_of_absorbing_diffusion_by_hand():
    """Logits 0 cost one bit each; T / t times t / T of the bits are masked."""
    model = predict(MAKERS["absorbing"](), 0.0)
    model.compile()
    found = model.evaluate(constant_codes(512)[0], batch_size=256, verbose=0, return_dict=True)
    assert found["bits_per_dimension"] == pytest.approx(1.0, abs=0.05)


def test_masked_bits_keep_the_surest_groups():
    model = baselines.MaskedBitPrior(denoiser(100), num_groups=2, choice_temperature=0.0)
    logits = np.zeros((1, *SHAPE), "float32")
    logits[0, 1, 0, 2:] = 9.0  # the second group of one cell is sure
    noise = np.full((1, *SHAPE), 0.3, "float32")
    step = model.make_step(
        sampling_of(model, 100),
        lambda *_: ops.convert_to_tensor(logits),
        lambda number: ops.convert_to_tensor(noise),
    )
    codes = ops.convert_to_numpy(step(np.int32(6), ops.full((1, *SHAPE), 0.5)))
    # floor(8 cos(pi / 2 * 7 / 100)) = 7 of 8 groups stay masked.
    assert np.argwhere(codes[0] != 0.5).tolist() == [[1, 0, 2], [1, 0, 3]]
    assert codes[0, 1, 0, 2:].tolist() == [1.0, 1.0]


def test_the_transformer_sees_no_later_cell():
    network = baselines.CausalTransformer((2, 3, 4), 2, 16, 2)
    codes = np.random.default_rng(0).integers(0, 2, (1, 2, 3, 4)).astype("float32")
    changed = codes.copy()
    changed[0, 1, 0] = 1 - changed[0, 1, 0]  # cell 3 of 6
    before, after = (ops.convert_to_numpy(network(c)).reshape(6, 4) for c in (codes, changed))
    np.testing.assert_allclose(after[:4], before[:4], atol=1e-6)
    assert np.abs(after[4:] - before[4:]).max() > 1e-4


def test_keras_own_checks():
    network = baselines.CausalTransformer(SHAPE, 1, 32, 2, num_classes=2)
    inputs = constant_codes(2)[0].astype("float32"), np.array([1, 4]), np.array([0, 1])
    check_keras_layer_of_several(network, *inputs, **QUICK_CHECK)


def test_one_step_for_each_cell():
    model = MAKERS["autoregressive"]()
    assert model.generate_codes(1, seed=0).shape == (1, *SHAPE)
    assert not model.can_skip_steps and MAKERS["absorbing"]().can_skip_steps
    with pytest.raises(ValueError, match=r"received 2; expected \d+, all steps"):
        model.generate_codes(1, num_steps=2)
    with pytest.raises(ValueError, match="num_groups"):
        baselines.MaskedBitPrior(denoiser(), num_groups=3)
