import textwrap

import keras
import numpy as np
import pytest
from harness import check_config, check_keras_round_trip, run_in_new_process, to_numpy
from small_models import small_autoencoder

from keras_bld.autoencoder import BinaryAutoencoder, PatchCritic, PerceptualDistance
from keras_bld.base import random

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).uniform(size=(5, *SHAPE)).astype("float32")


def make(**options):
    return small_autoencoder(SHAPE, 3, attention_resolutions=(4,), **options)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return make()


def test_shapes(model):
    assert model.code_shape == model.latent_shape == (4, 4, 3)
    assert model.downsampling_factor == 2 and model.bits_per_image == 48
    assert model.built and len(model.weights) > 0
    wide = small_autoencoder((4, 12, 2), 3)
    assert wide.code_shape == (2, 6, 3)
    assert wide.decode(np.zeros((1, 2, 6, 3))).shape == (1, 4, 12, 2)


def test_codes_are_the_likelier_bits(model):
    probabilities = model.encode_probabilities(IMAGES)
    codes = model.encode(IMAGES)
    assert isinstance(probabilities, np.ndarray) and probabilities.dtype == np.float32
    np.testing.assert_array_equal(codes, probabilities > 0.5)
    assert 0.1 < codes.mean() < 0.9
    traced = to_numpy(model.encode_probabilities(keras.ops.convert_to_tensor(IMAGES)))
    np.testing.assert_allclose(traced, probabilities, atol=1e-6)


def test_training_samples_bits(model):
    difference = to_numpy(model(IMAGES, training=True)) - to_numpy(model(IMAGES))
    assert np.abs(difference).max() > 1e-3


def test_sampled_codes_are_the_noise_below_the_probabilities(model):
    codes = model.encode(IMAGES, deterministic=False, seed=3)
    noise = to_numpy(random.uniforms(3, np.arange(5), 0, model.code_shape))
    np.testing.assert_array_equal(codes, noise < model.encode_probabilities(IMAGES))


def test_probabilities_are_float32_in_mixed_precision():
    full, half = make(), make(dtype="mixed_bfloat16")
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
    model = make(
        critic=PatchCritic(base_width=2, num_layers=1),
        perceptual=PerceptualDistance(features()),
        decoder_num_blocks=2,
        adaptive_weight="last_layer",
        augment_policy=("cutout",),
    )
    check_config(BinaryAutoencoder, model)
    model.num_steps_taken.assign(12)
    loaded = check_keras_round_trip(model, IMAGES)
    assert int(loaded.num_steps_taken) == 12
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


def test_no_bits():
    with pytest.raises(ValueError, match="code_channels.*received 0.*>= 1"):
        small_autoencoder(SHAPE, 0)
