import textwrap

import keras
import numpy as np
import pytest
from harness import (
    check_config,
    check_keras_round_trip,
    run_in_new_process,
    to_numpy,
)
from keras import ops

from keras_bld.autoencoder import BinaryAutoencoder, PatchCritic, PerceptualDistance
from keras_bld.base import random
from keras_bld.base.backend import compile_function

SMALL = {
    "image_shape": (8, 8, 1),
    "code_channels": 3,
    "base_width": 4,
    "width_multipliers": (1, 2),
    "num_blocks": 1,
    "attention_resolutions": (4,),
    "embedding_width": 4,
    "num_groups": 2,
}
GENERATOR = np.random.default_rng(0)
BYTES = GENERATOR.integers(0, 256, size=(5, 8, 8, 1), dtype="uint8")
IMAGES = BYTES / np.float32(255)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return BinaryAutoencoder(**SMALL)


def test_shapes(model):
    assert model.code_shape == (4, 4, 3)
    assert model.downsampling_factor == 2
    assert model.built and len(model.weights) > 0
    wide = BinaryAutoencoder(**{**SMALL, "image_shape": (4, 12, 2)})
    assert wide.code_shape == (2, 6, 3)
    assert wide.decode(np.zeros((1, 2, 6, 3))).shape == (1, 4, 12, 2)


def test_arrays_in_arrays_out(model):
    probabilities = model.encode_probabilities(IMAGES)
    codes = model.encode(IMAGES)
    images = model.decode(codes)
    for array, shape in ((probabilities, (4, 4, 3)), (codes, (4, 4, 3)), (images, (8, 8, 1))):
        assert isinstance(array, np.ndarray) and array.dtype == np.float32
        assert array.shape == (5, *shape)
    np.testing.assert_array_equal(codes, probabilities > 0.5)
    assert 0.1 < codes.mean() < 0.9
    assert images.min() >= 0 and images.max() <= 1
    np.testing.assert_array_equal(model.reconstruct(IMAGES), images)
    # Bytes and lists are as good as floats.
    np.testing.assert_allclose(model.encode_probabilities(BYTES), probabilities, atol=1e-6)
    np.testing.assert_array_equal(model.encode(IMAGES.tolist()), codes)


def test_tensors_in_tensors_out(model):
    """Inside somebody else's compiled function, with the seed as one of its inputs."""

    def use(images, seed):
        codes = model.encode(images)
        sampled = model.encode(images, deterministic=False, seed=seed)
        assert ops.is_tensor(codes)
        return codes, sampled, model.decode(codes)

    compiled = compile_function(use, lambda: model.variables)
    codes, sampled, images = to_numpy(compiled(BYTES, 7))
    np.testing.assert_array_equal(codes, model.encode(BYTES))
    np.testing.assert_array_equal(sampled, model.encode(BYTES, deterministic=False, seed=7))
    np.testing.assert_allclose(images, model.reconstruct(BYTES), atol=1e-5)


def test_call_is_the_reconstruction_before_clipping(model):
    received = to_numpy(model(IMAGES)).clip(0, 1)
    np.testing.assert_allclose(received, model.reconstruct(IMAGES), atol=1e-5)
    assert np.abs(to_numpy(model(IMAGES, training=True)) - to_numpy(model(IMAGES))).max() > 1e-3


def test_sampled_codes_are_the_noise_below_the_probabilities(model):
    codes = model.encode(IMAGES, deterministic=False, seed=3)
    noise = to_numpy(random.uniforms(3, np.arange(5), 0, model.code_shape))
    np.testing.assert_array_equal(codes, noise < model.encode_probabilities(IMAGES))
    np.testing.assert_array_equal(
        codes, model.encode(IMAGES, deterministic=False, seed=3, batch_size=2)
    )
    assert (codes != model.encode(IMAGES, deterministic=False, seed=4)).any()


@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch runs eagerly")
def test_a_changed_seed_does_not_trace_again(model):
    model.encode(IMAGES, deterministic=False, seed=1)
    traces = model._batched_sample.num_traces
    model.encode(IMAGES, deterministic=False, seed=2)
    assert model._batched_sample.num_traces == traces


def test_new_weights_are_used_by_compiled_functions():
    model = BinaryAutoencoder(**SMALL)
    before = model.encode_probabilities(IMAGES)
    model.code_logits.bias.assign(np.full((3,), 1.0))
    after = model.encode_probabilities(IMAGES)
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    np.testing.assert_allclose(logit(after), logit(before) + 1.0, atol=1e-4)


def test_probabilities_are_float32_in_mixed_precision():
    full = BinaryAutoencoder(**SMALL)
    half = BinaryAutoencoder(**SMALL, dtype="mixed_bfloat16")
    half.set_weights(full.get_weights())
    assert half.encoder.compute_dtype == half.decoder.blocks[1].compute_dtype == "bfloat16"
    probabilities = half.encode_probabilities(IMAGES)
    # More digits than bfloat16 has (the upper half of a float32), and the same up to its rounding.
    assert (probabilities.view("int32") & 0xFFFF).any()
    np.testing.assert_allclose(probabilities, full.encode_probabilities(IMAGES), atol=0.05)
    assert set(np.unique(half.encode(IMAGES))) == {0.0, 1.0}


def features():
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))


def test_saving(model):
    check_config(BinaryAutoencoder, model)
    check_keras_round_trip(model, IMAGES)


def test_saving_with_critic_and_perceptual_distance():
    model = BinaryAutoencoder(
        **SMALL,
        critic=PatchCritic(base_width=2, num_layers=1),
        perceptual=PerceptualDistance(features()),
        decoder_num_blocks=2,
        adaptive_weight="last_layer",
        augment_policy=("cutout",),
    )
    check_config(BinaryAutoencoder, model)
    model.num_training_steps.assign(12)
    loaded = check_keras_round_trip(model, IMAGES)
    assert int(loaded.num_training_steps) == 12
    assert type(loaded.perceptual) is PerceptualDistance


def test_loaded_in_a_new_process(model, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    np.save(tmp_path / "images.npy", IMAGES)
    code = f"""
        import keras, numpy as np, keras_bld.autoencoder
        model = keras.saving.load_model({str(path)!r})
        np.save({str(tmp_path / "probabilities.npy")!r},
                model.encode_probabilities(np.load({str(tmp_path / "images.npy")!r})))
        """
    run_in_new_process(textwrap.dedent(code))
    np.testing.assert_allclose(
        np.load(tmp_path / "probabilities.npy"), model.encode_probabilities(IMAGES), atol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "message"),
    (
        ({"image_shape": (9, 8, 1)}, "image_shape.*received.*divisible by 2.*Fix"),
        ({"image_shape": (8, 8)}, "image_shape.*height, width, channels"),
        ({"code_channels": 0}, "code_channels.*received 0.*>= 1"),
        ({"num_groups": 3}, "num_groups.*received 3.*divisor"),
        ({"width_multipliers": (1, 0)}, "width_multipliers.*received"),
        ({"width_multipliers": ()}, "width_multipliers.*received"),
        ({"reconstruction": "l2"}, "reconstruction.*'l2'.*'mse', 'l1'"),
        ({"adaptive_weight": "always"}, "adaptive_weight.*'always'"),
        ({"perceptual_weight": -1.0}, "perceptual_weight.*received -1.0"),
        ({"critic": "patch"}, "critic.*'patch'.*PatchCritic"),
        ({"perceptual": "lpips"}, "perceptual.*'lpips'.*PerceptualDistance"),
    ),
)
def test_bad_arguments(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        BinaryAutoencoder(**{**SMALL, **change})


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
        (lambda m: m.decode(np.full((1, 4, 4, 3), 0.5)), "codes.*0.5.*only 0 and 1"),
        (lambda m: m.decode(np.zeros((1, 4, 4, 2))), "codes.*received shape"),
    ),
)
def test_bad_inputs(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)
