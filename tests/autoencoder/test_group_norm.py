import keras
import numpy as np
import pytest
from autoencoder.differentiation import gradient_of
from harness import (
    check_config,
    check_dtype_policies,
    check_keras_layer,
    check_keras_round_trip,
    to_numpy,
)
from keras import ops

from keras_bld.autoencoder.group_norm import GroupNorm

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")


def make_layer(silu, **kwargs):
    layer = GroupNorm(4, silu=silu, **kwargs)
    layer.build(IMAGES.shape)
    layer.gamma.assign(np.linspace(0.5, 2.0, 8))
    layer.beta.assign(np.linspace(-1.0, 1.0, 8))
    return layer


def test_shared_checks():
    layer = GroupNorm(2, silu=True)
    check_config(GroupNorm, layer)
    check_keras_round_trip(layer, IMAGES)
    assert layer.compute_output_shape(IMAGES.shape) == tuple(layer(IMAGES).shape)
    check_dtype_policies(lambda: GroupNorm(2), IMAGES, policies=("mixed_float16",))
    check_keras_layer(layer, IMAGES)


def test_group_norm_equals_keras():
    theirs = keras.layers.GroupNormalization(4, epsilon=1e-6)
    theirs.build(IMAGES.shape)
    for ours, activation in ((make_layer(False), ops.copy), (make_layer(True), ops.silu)):
        for variable, value in zip(theirs.variables, ours.variables, strict=True):
            variable.assign(value)
        expected = to_numpy(activation(theirs(IMAGES)))
        for training in (False, True):
            made = to_numpy(ours(IMAGES, training=training))
            np.testing.assert_allclose(made, expected, atol=2e-6)


def test_group_norm_of_large_values_does_not_overflow_in_float16():
    # 300 squared is above the largest float16.
    layer = GroupNorm(2, dtype="mixed_float16")
    values = to_numpy(keras.ops.cast(layer(IMAGES + 300.0), "float32"))
    assert abs(values.std() - 1.0) < 0.05


def test_group_norm_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="num_groups.*received 3.*divisor.*Fix"):
        GroupNorm(3).build((None, 4, 4, 8))


@pytest.mark.parametrize("silu", [False, True])
def test_own_gradient_is_that_of_differentiation(silu):
    layer = make_layer(silu)
    weights = np.random.default_rng(1).normal(size=IMAGES.shape).astype("float32")
    state = [to_numpy(variable) for variable in layer.variables]

    def value(training):
        def function(x, gamma, beta):
            mapping = list(zip(layer.variables, (gamma, beta), strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return ops.sum(ops.multiply(layer(x, training=training), weights))

        return function

    own = gradient_of(value(True), 3.0 * IMAGES + 1.0, *state)
    plain = gradient_of(value(False), 3.0 * IMAGES + 1.0, *state)
    for ours, expected in zip(own, plain, strict=True):
        np.testing.assert_allclose(ours, expected, atol=3e-5)


def test_gradient_keeps_the_compute_dtype():
    layer = make_layer(True, dtype="mixed_bfloat16")

    def gradient_through(layer):
        def value(x):
            made = ops.cast(layer(x, training=True), "float32")
            return ops.sum(ops.multiply(made, IMAGES))

        return gradient_of(value, IMAGES)[0]

    exact, rough = gradient_through(make_layer(True)), gradient_through(layer)
    assert rough.dtype == "float32"  # of the float32 input; the layer casts it
    np.testing.assert_allclose(rough, exact, atol=0.1)


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_equal_numbers_do_not_multiply_the_gradient(level):
    """It grew a thousandfold in each layer, to infinity in a decoder of latents that are all 0."""
    layer = make_layer(False)
    upstream = np.random.default_rng(2).normal(size=IMAGES.shape).astype("float32")
    x = np.full(IMAGES.shape, level, "float32")
    x[1] = IMAGES[1]  # beside a sample with a gradient as ever
    gradient = gradient_of(lambda x: ops.sum(ops.multiply(layer(x, training=True), upstream)), x)[0]
    plain = gradient_of(lambda x: ops.sum(ops.multiply(layer(x), upstream)), x)[0]
    assert abs(plain[0]).max() > 100
    np.testing.assert_allclose(1000.0 * gradient[0], plain[0], rtol=1e-2, atol=3.0)
    np.testing.assert_allclose(gradient[1], plain[1], atol=3e-5)
