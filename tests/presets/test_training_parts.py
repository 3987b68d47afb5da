import keras
import numpy as np

from keras_bld.autoencoder import PerceptualDistance
from keras_bld.presets.training_parts import without_training_parts


def test_encoding_and_sampling_stay_and_the_original_keeps_its_parts(
    make_autoencoder, make_diffusion
):
    inputs = keras.Input((8, 8, 3))
    features = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    autoencoder = make_autoencoder(critic=True, perceptual=PerceptualDistance(features))
    model = make_diffusion(autoencoder)
    copy = without_training_parts(model)
    assert copy.autoencoder.critic is None and copy.autoencoder.perceptual is None
    assert autoencoder.critic is not None and autoencoder.perceptual is not None
    assert copy.denoiser is model.denoiser
    training_only = autoencoder.critic.count_params() + features.count_params() + 1
    assert copy.count_params() == model.count_params() - training_only
    images = np.random.default_rng(0).random((2, 8, 8, 3))
    np.testing.assert_array_equal(
        copy.autoencoder.encode_probabilities(images), autoencoder.encode_probabilities(images)
    )
    np.testing.assert_array_equal(copy.generate(2, seed=1), model.generate(2, seed=1))


def test_a_model_without_such_parts_is_itself(make_autoencoder, make_diffusion):
    for model in (make_autoencoder(), make_diffusion()):
        assert without_training_parts(model) is model


def test_the_copy_stays_while_the_original_trains_on(make_autoencoder):
    """On JAX, training gives away the buffers of its weights."""
    autoencoder = make_autoencoder(critic=True)
    copy = without_training_parts(autoencoder)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), "uint8")
    before = copy.encode_probabilities(images)
    autoencoder.compile(keras.optimizers.Adam(0.01))
    autoencoder.fit(images, batch_size=2, verbose=0)
    np.testing.assert_array_equal(copy.encode_probabilities(images), before)
