import keras
import numpy as np
import pytest
from harness import QUICK_JIT, check_config
from small_models import small_autoencoder

from keras_bld.baselines import BOTTLENECKS, AbsorbingDiffusion, BottleneckAutoencoder
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

SHAPE = (8, 8, 1)
NAMES = [name for name in BOTTLENECKS if name != "bernoulli"]
SLOW_BUT_ONE = [
    name if name == "vector_quantized" else pytest.param(name, marks=pytest.mark.slow)
    for name in NAMES
]


def make(name):
    return small_autoencoder(SHAPE, bottleneck=BOTTLENECKS[name](6))


@pytest.mark.parametrize("name", SLOW_BUT_ONE)
def test_training_makes_reconstructions_better(name):
    levels = np.random.default_rng(0).random((64, 1, 1, 1))
    images = np.broadcast_to(levels, (64, *SHAPE)).astype("float32").copy()
    model = make(name)
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=QUICK_JIT)
    before = model.evaluate(images, batch_size=32, verbose=0, return_dict=True)["reconstruction"]
    history = model.fit(images, batch_size=32, epochs=8, verbose=0).history
    after = model.evaluate(images, batch_size=32, verbose=0, return_dict=True)
    assert after["reconstruction"] < 0.7 * before
    assert set(history) == {"loss", "reconstruction", "psnr", "bottleneck_loss"}
    assert np.isfinite(history["bottleneck_loss"]).all()
    terms = after["reconstruction"] + after["bottleneck_loss"]
    assert after["loss"] == pytest.approx(terms, rel=1e-3)


@pytest.mark.parametrize("name", SLOW_BUT_ONE)
def test_a_saved_model_gives_the_same_codes(name, tmp_path):
    model = make(name)
    images = np.random.default_rng(1).random((3, *SHAPE)).astype("float32")
    model(images, training=True)  # moves a codebook
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.encode(images), model.encode(images), atol=1e-6)
    np.testing.assert_allclose(loaded.reconstruct(images), model.reconstruct(images), atol=1e-5)
    assert loaded.bits_per_image == model.bits_per_image


@pytest.mark.once
@pytest.mark.parametrize("model", (BinaryLatentDiffusion, AbsorbingDiffusion))
def test_stage_2_refuses_real_numbers(model):
    autoencoder = make("real_valued")
    denoiser = BernoulliDenoiser(autoencoder.code_shape, 1, 16, 2, num_training_steps=4)
    parts = (denoiser, BernoulliNoiseSchedule(4)) if model is BinaryLatentDiffusion else (denoiser,)
    with pytest.raises(ValueError, match="real numbers .GaussianBottleneck.*are bits.*Vector"):
        model(*parts, autoencoder)


@pytest.mark.once
def test_config():
    check_config(BottleneckAutoencoder, make("finite_scalar"))


@pytest.mark.parametrize("name", ("vector_quantized", "tanh_bernoulli"))
def test_the_fast_path_gives_the_same_codes(name):
    pytest.importorskip("openvino")
    model = make(name)
    model.code_logits.kernel.assign(4.0 * model.code_logits.kernel)
    images = np.random.default_rng(1).random((5, *SHAPE)).astype("float32")

    def made():
        sampled = model.encode(images, deterministic=False, seed=3, batch_size=2)
        return model.encode(images), sampled, model.reconstruct(images)

    plain = made()
    assert model.compile_for_inference(precision="float32")
    for expected, received in zip(plain, made(), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-4)
    assert model._batched_encode.substitute is not None
