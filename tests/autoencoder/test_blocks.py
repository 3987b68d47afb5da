import numpy as np
import pytest
from harness import (
    check_config,
    check_dtype_policies,
    check_keras_layer,
    check_keras_round_trip,
    to_numpy,
)

from keras_bld.autoencoder.blocks import (
    AttentionBlock,
    Downsample,
    ResidualBlock,
    Upsample,
)

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")


@pytest.mark.parametrize(
    "build",
    (
        lambda: ResidualBlock(8, num_groups=2),
        lambda: ResidualBlock(4, num_groups=2),
        lambda: AttentionBlock(num_groups=4),
        Downsample,
        Upsample,
    ),
)
def test_shared_checks(build):
    layer = build()
    check_config(type(layer), layer)
    check_keras_round_trip(layer, IMAGES)
    assert layer.compute_output_shape(IMAGES.shape) == tuple(layer(IMAGES).shape)
    outputs = check_dtype_policies(build, IMAGES, policies=("mixed_float16",))
    assert all(output.shape == layer(IMAGES).shape for output in outputs.values())
    check_keras_layer(layer, IMAGES)


def test_shortcut_exists_only_where_channels_change():
    same, other = ResidualBlock(8, num_groups=2), ResidualBlock(4, num_groups=2)
    same.build(IMAGES.shape)
    other.build(IMAGES.shape)
    assert same.shortcut is None
    assert tuple(other.shortcut.kernel.shape) == (8, 4)


def test_attention_mixes_all_positions_with_softmax_weights():
    """Uniform attention (zero queries) adds the projected mean of the values everywhere."""
    block = AttentionBlock(num_groups=2)
    block.build(IMAGES.shape)
    block.query.kernel.assign(np.zeros((8, 8)))
    for layer in (block.value, block.projection):
        layer.kernel.assign(np.eye(8))
    normalised = to_numpy(block.norm(IMAGES))
    expected = IMAGES + normalised.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(to_numpy(block(IMAGES)), expected, atol=1e-5)


def test_downsample_pads_below_and_to_the_right():
    layer = Downsample()
    layer.build((None, 4, 4, 1))
    image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    for row, column in ((0, 0), (2, 2)):
        kernel = np.zeros((3, 3, 1, 1))
        kernel[row, column] = 1.0
        layer.conv.kernel.assign(kernel)
        expected = np.pad(image, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, row::2, column::2][:, :2, :2]
        np.testing.assert_array_equal(to_numpy(layer(image)), expected)


def test_upsample_repeats_pixels():
    layer = Upsample()
    layer.build((None, 2, 2, 1))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1.0
    layer.conv.kernel.assign(kernel)
    image = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    expected = image.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(to_numpy(layer(image)), expected)
