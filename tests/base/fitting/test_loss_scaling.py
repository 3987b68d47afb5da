import keras
import numpy as np
import pytest
from harness import QUICK_JIT, to_numpy
from small_models import LinearDenoiser, small_autoencoder, striped_codes, tiny_denoiser, tiny_model

from keras_bld.autoencoder import PatchCritic
from keras_bld.base.fitting.finite import FiniteOrNothing

BACKEND = keras.config.backend()
CODES = striped_codes(12)
IMAGES = np.random.default_rng(0).random((4, 12, 12, 1)).astype("float32")
LossScaleOptimizer = keras.optimizers.LossScaleOptimizer


def diffusion(optimizer, dtype="float32"):
    keras.utils.set_random_seed(1)
    model = tiny_model(LinearDenoiser(dtype=dtype))
    model.compile(optimizer, jit_compile=QUICK_JIT)
    return model


def autoencoder(optimizer):
    """With a critic from its second step on, whose weight balances gradients."""
    keras.utils.set_random_seed(1)
    sizes = {"image_shape": (12, 12, 1), "width_multipliers": (1,), "base_width": 4}
    sizes |= {"code_channels": 2, "num_groups": 2, "embedding_width": 4}
    sizes |= {"critic": PatchCritic(4, 1), "critic_start_step": 1, "augment_policy": None}
    model = small_autoencoder(**sizes, adversarial_weight=1.0, adaptive_weight="image")
    model.compile(optimizer, jit_compile=QUICK_JIT)
    return model


both_stages = pytest.mark.parametrize(
    ("build", "x"),
    [
        (diffusion, CODES),
        # JAX compiles it for half a minute.
        pytest.param(autoencoder, IMAGES, marks=[pytest.mark.slow] if BACKEND == "jax" else []),
    ],
)


def weights_of(model):
    return [np.array(to_numpy(variable)) for variable in model.trainable_variables]


@both_stages
def test_a_scaled_loss_trains_as_one_that_is_not(build, x):
    """In float32, where scaling costs a rounding and does nothing else."""
    trained = []
    for optimizer in (
        keras.optimizers.SGD(0.05),
        LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=2.0**15),
    ):
        model = build(optimizer)
        losses = [float(np.ravel(model.train_on_batch(x))[0]) for _ in range(3)]
        trained.append((losses, weights_of(model)))
    (plain_losses, plain), (scaled_losses, scaled) = trained
    np.testing.assert_allclose(scaled_losses, plain_losses, rtol=1e-4)
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@both_stages
def test_a_step_whose_gradient_overflows_is_left_out_and_training_goes_on(build, x):
    # Weights of 10,000 make the scaled loss larger than any float32.
    optimizer = LossScaleOptimizer(keras.optimizers.SGD(5e-6), initial_scale=2.0**127)
    how = {"batch_size": len(x), "sample_weight": np.full(len(x), 1e4, "float32"), "verbose": 0}
    model = build(optimizer)
    before = weights_of(model)
    model.fit(x, epochs=1, **how)
    for one, other in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert float(to_numpy(optimizer.dynamic_scale)) == 2.0**126
    optimizer.dynamic_scale.assign(2.0**10)  # as after many more
    model.fit(x, epochs=2, **how)
    assert float(to_numpy(optimizer.dynamic_scale)) == 2.0**10
    assert any((one != other).any() for one, other in zip(weights_of(model), before, strict=True))
    assert all(np.isfinite(weight).all() for weight in weights_of(model))


def test_gradients_that_never_are_finite_end_training():
    model = diffusion(LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=2.0**127))
    model.build_optimizer()
    model.optimizer.dynamic_scale.assign(0.75)
    with pytest.raises(ValueError, match="step after step, at the end of epoch 1: .* 0.75"):
        model.fit(CODES, verbose=0, callbacks=[FiniteOrNothing()])


@pytest.mark.once
def test_any_part_in_float16_is_enough():
    keras.config.set_dtype_policy("float32")
    model = tiny_model(tiny_denoiser(dtype="mixed_float16"))
    adam = keras.optimizers.Adam(0.01)
    model.compile(adam)
    assert isinstance(model.optimizer, LossScaleOptimizer)
    assert model.optimizer.inner_optimizer is adam
    model.compile(LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=4.0))
    assert model.optimizer.initial_scale == 4.0
    model.compile(adam, auto_scale_loss=False)
    assert model.optimizer is adam
    for dtype in ("float32", "mixed_bfloat16"):
        model = tiny_model(tiny_denoiser(dtype=dtype))
        model.compile("adam")
        assert isinstance(model.optimizer, keras.optimizers.Adam)


@pytest.mark.once
def test_weights_in_float16_are_refused():
    model = diffusion("sgd", dtype="float16")
    with pytest.raises(ValueError, match=r"weights in float16 .*policy mixed_float16"):
        model.fit(CODES, verbose=0)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX multiplies no float16 matrices on a CPU")
def test_float16_learns_what_float32_learns():
    last = {}
    for dtype in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(1)
        model = tiny_model(tiny_denoiser(dtype=dtype))
        model.compile(keras.optimizers.Adam(0.02), jit_compile=QUICK_JIT)
        history = model.fit(CODES, batch_size=12, epochs=15, verbose=0).history["loss"]
        assert np.mean(history[-3:]) < 0.8 * history[0]
        last[dtype] = np.mean(history[-3:])
    assert last["mixed_float16"] == pytest.approx(last["float32"], rel=0.1)
    assert isinstance(model.optimizer, LossScaleOptimizer)
    assert {weight.dtype for weight in model.trainable_variables} == {"float32"}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others refuse it on a CPU")
def test_an_autoencoder_learns_in_float16():
    keras.config.set_dtype_policy("mixed_float16")
    model = autoencoder(keras.optimizers.Adam(0.01))
    history = model.fit(IMAGES, batch_size=4, epochs=12, verbose=0).history
    assert isinstance(model.optimizer, LossScaleOptimizer)
    assert np.mean(history["reconstruction"][-3:]) < 0.9 * history["reconstruction"][0]
