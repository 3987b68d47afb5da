import numpy as np
import pytest
from autoencoder.differentiation import gradient_of
from harness import to_numpy
from keras import ops

from keras_bld.autoencoder.losses import (
    generator_loss,
    hinge_critic_loss,
    last_kernel_gradients,
    reconstruction_loss,
    split_with_balance,
)

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.normal(size=(2, 4, 5, 3)).astype("float32")
FIRST = GENERATOR.normal(size=IMAGES.shape).astype("float32")
SECOND = GENERATOR.normal(size=IMAGES.shape).astype("float32")


def test_terms_by_hand():
    images, other = np.array([0.0, 1.0]), np.array([0.5, 0.0])
    assert float(reconstruction_loss(images, other, "l1")) == 0.75
    assert float(reconstruction_loss(images, other, "mse")) == 0.625
    # Real logits beyond 1 and fake ones below -1 cost nothing.
    real, fake = np.array([2.0, 0.0], "float32"), np.array([-3.0, 1.0], "float32")
    assert float(hinge_critic_loss(real, fake)) == 0.5 * (0.5 + 1.0)
    assert float(generator_loss(fake)) == 1.0


def balanced_gradient(scale, maximum, features=None):
    def objective(images):
        first, second = split_with_balance(images, features, ops.ones(()) * scale, maximum)
        return ops.sum(ops.multiply(first, FIRST)) + ops.sum(ops.multiply(second, SECOND))

    return gradient_of(objective, IMAGES)[0]


def test_balance_at_the_image():
    epsilon = 1e-4 / np.sqrt(IMAGES.size)
    ratio = np.linalg.norm(FIRST) / (np.linalg.norm(SECOND) + epsilon)
    np.testing.assert_allclose(
        balanced_gradient(0.7, 1e4), FIRST + 0.7 * ratio * SECOND, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        balanced_gradient(1.0, 0.25), FIRST + 0.25 * SECOND, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(balanced_gradient(0.0, 1e4), FIRST)


def test_balance_leaves_the_value():
    first, second = split_with_balance(ops.convert_to_tensor(IMAGES), None, ops.ones(()), 1.0)
    np.testing.assert_array_equal(to_numpy(first), IMAGES)
    np.testing.assert_array_equal(to_numpy(second), IMAGES)


def test_last_kernel_gradients_equal_automatic_differentiation():
    features = GENERATOR.normal(size=(2, 4, 5, 6)).astype("float32")
    kernel = GENERATOR.normal(size=(3, 3, 6, 3)).astype("float32")

    def convolved(kernel, weights):
        convolution = ops.conv(ops.convert_to_tensor(features), kernel, padding="same")
        return ops.sum(ops.multiply(convolution, weights))

    received = to_numpy(
        last_kernel_gradients(ops.convert_to_tensor(features), np.stack([FIRST, SECOND]))
    )
    for result, weights in zip(received, (FIRST, SECOND), strict=True):
        expected = gradient_of(lambda k, w=weights: convolved(k, w), kernel)[0]  # (3, 3, 6, 3)
        result = result.reshape(6, 3, 3, 3).transpose(1, 2, 0, 3)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_balance_at_the_last_kernel_uses_its_norms():
    features = GENERATOR.normal(size=(2, 4, 5, 6)).astype("float32")
    kernels = to_numpy(
        last_kernel_gradients(ops.convert_to_tensor(features), np.stack([FIRST, SECOND]))
    )
    ratio = np.linalg.norm(kernels[0]) / (np.linalg.norm(kernels[1]) + 1e-4)
    received = balanced_gradient(1.0, 1e4, ops.convert_to_tensor(features))
    assert ratio != pytest.approx(np.linalg.norm(FIRST) / np.linalg.norm(SECOND), rel=1e-3)
    np.testing.assert_allclose(received, FIRST + ratio * SECOND, rtol=1e-4, atol=1e-5)
