"""The contract of stage 1, with every bottleneck: what stage 2 and the commands rely on."""

import keras
import numpy as np
import pytest
from harness import QUICK_JIT, to_numpy
from keras import ops
from small_models import small_autoencoder

from keras_bld.autoencoder import Bottleneck, CodeAutoencoder
from keras_bld.base.backend import compile_function
from keras_bld.baselines import BOTTLENECKS
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.presets.fingerprint import autoencoder_fingerprint
from keras_bld.zoo import load_preset

SHAPE = (8, 8, 1)
BYTES = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype="uint8")
IMAGES = BYTES / np.float32(255)
# The others differ in numbers alone, which tests/baselines checks.
KINDS = ("bernoulli", "vector_quantized", "finite_scalar", "real_valued")
STOCHASTIC = ("bernoulli", "real_valued")
two_kinds = pytest.mark.parametrize("model", KINDS[:2], indirect=True)
one_kind = pytest.mark.parametrize("model", KINDS[:1], indirect=True)


def make(name):
    """The autoencoder with a bottleneck of the table, 6 bits a cell, larger outputs than at first.

    (What an untrained encoder says is near 0: one codeword.)
    """
    keras.utils.set_random_seed(0)
    bottleneck = None if name == "bernoulli" else BOTTLENECKS[name](6)
    model = small_autoencoder(SHAPE, 6, bottleneck)
    model.code_logits.kernel.assign(4.0 * model.code_logits.kernel)
    return model


@pytest.fixture(scope="module", params=KINDS)
def model(request, numpy_initial_weights):
    model = make(request.param)
    model.kind = request.param
    return model


def test_arrays_in_arrays_out(model):
    assert isinstance(model, CodeAutoencoder) and model.built
    codes = model.encode(BYTES)
    assert isinstance(codes, np.ndarray) and codes.dtype == np.float32
    assert codes.shape == (5, *model.code_shape)
    assert len(np.unique(codes.reshape(-1, model.code_channels), axis=0)) > 4
    assert model.has_binary_codes == (model.kind != "real_valued")
    if model.has_binary_codes:
        assert set(np.unique(codes)) == {0.0, 1.0}
        assert model.bits_per_image <= np.prod(model.code_shape)
    np.testing.assert_allclose(
        model.encode(IMAGES.tolist(), batch_size=2), codes, rtol=1e-5, atol=1e-5
    )
    images = model.decode(codes)
    assert isinstance(images, np.ndarray) and images.dtype == np.float32
    assert images.shape == IMAGES.shape and images.min() >= 0 and images.max() <= 1
    np.testing.assert_array_equal(model.reconstruct(BYTES), images)


def test_codes_give_the_pictures_of_the_latents(model):
    expected = to_numpy(model(IMAGES)).clip(0, 1)
    assert expected.std(axis=0).max() > 0
    np.testing.assert_allclose(model.reconstruct(IMAGES), expected, atol=1e-5)


@two_kinds
def test_tensors_in_tensors_out(model):
    """Inside somebody else's compiled function, with the seed as one of its inputs."""

    def use(images, seed):
        codes = model.encode(images)
        sampled = model.encode(images, deterministic=False, seed=seed)
        assert ops.is_tensor(codes)
        return codes, sampled, model.decode(codes)

    compiled = compile_function(use, lambda: model.variables)
    codes, sampled, images = to_numpy(compiled(BYTES, 7))
    np.testing.assert_allclose(codes, model.encode(BYTES), rtol=1e-5, atol=1e-5)
    expected = model.encode(BYTES, deterministic=False, seed=7)
    np.testing.assert_allclose(sampled, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(images, model.reconstruct(BYTES), atol=1e-5)


def test_samples_depend_on_the_seed_alone(model):
    codes = model.encode(IMAGES, deterministic=False, seed=3)
    again = model.encode(IMAGES, deterministic=False, seed=3, batch_size=2)
    np.testing.assert_allclose(again, codes, rtol=1e-5, atol=1e-4)
    other = model.encode(IMAGES, deterministic=False, seed=4)
    assert (codes != other).any() == (model.kind in STOCHASTIC)


def test_every_pattern_of_bits_decodes(model):
    codes = np.random.default_rng(1).integers(0, 2, (5, *model.code_shape))
    assert np.isfinite(model.decode(codes)).all()
    ones = np.ones((1, *model.code_shape))
    assert np.isfinite(model.decode(ones)).all()


def test_a_preset_holds_all_that_codes_depend_on(tmp_path):
    model = make("vector_quantized")
    loaded = load_preset(model.save_to_preset(tmp_path / "preset"))
    assert autoencoder_fingerprint(loaded) == autoencoder_fingerprint(model)
    np.testing.assert_array_equal(loaded.encode(IMAGES), model.encode(IMAGES))
    np.testing.assert_allclose(loaded.reconstruct(IMAGES), model.reconstruct(IMAGES), atol=1e-6)


@pytest.mark.once
def test_the_fingerprint_is_also_of_the_bottleneck():
    model = make("vector_quantized")
    before = autoencoder_fingerprint(model)
    model.bottleneck.codebook.assign(model.bottleneck.codebook + 0.1)
    assert autoencoder_fingerprint(model) != before


def test_stage_2_learns_from_images():
    autoencoder = make("vector_quantized")
    denoiser = BernoulliDenoiser(autoencoder.code_shape, 1, 16, 2, num_training_steps=4)
    model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)
    model.compile("adam", jit_compile=QUICK_JIT)
    assert np.isfinite(model.train_on_batch(BYTES)).all()
    assert model.generate(2, num_steps=2, seed=0).shape == (2, *SHAPE)


@one_kind
@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch runs eagerly")
def test_a_changed_seed_does_not_trace_again(model):
    model.encode(IMAGES, deterministic=False, seed=1)
    traces = model._batched_sample.num_traces
    model.encode(IMAGES, deterministic=False, seed=2)
    assert model._batched_sample.num_traces == traces


def test_new_weights_are_used_by_compiled_functions():
    model = make("real_valued")
    before = model.encode(IMAGES)
    model.code_logits.bias.assign(np.full(model.code_logits.bias.shape, 1.0))
    np.testing.assert_allclose(model.encode(IMAGES), before + 1.0, rtol=1e-5, atol=1e-5)


class Unfinished(Bottleneck):
    """Says what it takes, but not what it gives."""

    num_inputs = 3


@pytest.mark.parametrize(
    ("change", "message"),
    (
        ({"image_shape": (9, 8, 1)}, "image_shape.*received.*divisible by 2.*Fix"),
        ({"image_shape": (8, 8)}, "image_shape.*height, width, channels"),
        ({"num_groups": 3}, "num_groups.*received 3.*divisor"),
        ({"width_multipliers": (1, 0)}, "width_multipliers.*received"),
        ({"width_multipliers": ()}, "width_multipliers.*received"),
        ({"reconstruction": "l2"}, "reconstruction.*'l2'.*'mse', 'l1'"),
        ({"adaptive_weight": "always"}, "adaptive_weight.*'always'"),
        ({"perceptual_weight": -1.0}, "perceptual_weight.*received -1.0"),
        ({"critic": "patch"}, "critic.*'patch'.*PatchCritic"),
        ({"perceptual": "lpips"}, "perceptual.*'lpips'.*PerceptualDistance"),
        ({"bottleneck": "vector"}, "bottleneck.*'vector'.*Bottleneck"),
        ({"bottleneck": keras.layers.ReLU()}, "bottleneck.*ReLU.*Bottleneck"),
        ({"bottleneck": Unfinished()}, "Unfinished.latent_channels.*received None"),
    ),
)
def test_bad_arguments(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        small_autoencoder(**{"image_shape": SHAPE, **change})


@pytest.mark.parametrize(
    ("call", "message"),
    (
        (lambda m: m.encode(IMAGES[0]), "images.*batch"),
        (lambda m: m.encode(np.float32(1.0)), "images.*batch"),
        (lambda m: m.encode(np.zeros((1, 10, 8, 1), "float32")), "images.*received shape"),
        (lambda m: m.encode(IMAGES[:0]), "images.*empty batch"),
        (lambda m: m.encode(IMAGES * 255), r"images.*expected finite values in \[0, 1\]"),
        (lambda m: m.encode(np.full_like(IMAGES, np.nan)), "images.*nan"),
        (lambda m: m.encode(IMAGES, deterministic=False, seed=-1), "seed.*received -1"),
        (lambda m: m.encode(IMAGES, batch_size=0), "batch_size.*received 0"),
        (lambda m: m.decode(np.zeros((1, 4, 4, 2))), "codes.*received shape"),
    ),
)
@one_kind
def test_bad_inputs(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_bits_are_0_or_1(model):
    halves = np.full((1, *model.code_shape), 0.5)
    if not model.has_binary_codes:
        assert model.decode(halves).shape == (1, *SHAPE)
        return
    with pytest.raises(ValueError, match="codes.*0.5.*only 0 and 1"):
        model.decode(halves)
