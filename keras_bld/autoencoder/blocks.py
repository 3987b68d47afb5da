"""The building blocks that the encoder and the decoder share.

They follow the VQGAN-like autoencoder of "Unleashing Transformers" (Bond-Taylor et al., 2022),
on which the published Binary Latent Diffusion code builds. Every block takes and returns
(batch, height, width, channels).
"""

import keras
from keras import ops

from keras_bld.autoencoder.group_norm import GroupNorm
from keras_bld.base.backend import attention
from keras_bld.base.initializers import torch_default_initializer


def convolution(filters, kernel_size=3, strides=1, padding="same", dtype=None, **kwargs):
    """A Conv2D initialised as in the published networks."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        kernel_initializer=torch_default_initializer(),
        dtype=dtype,
        **kwargs,
    )


def pointwise(channels, dtype=None, name=None):
    """A 1x1 convolution, written as a Dense over the channels."""
    return keras.layers.Dense(
        channels, kernel_initializer=torch_default_initializer(), dtype=dtype, name=name
    )


@keras.saving.register_keras_serializable("keras_bld")
class ResidualBlock(keras.layers.Layer):
    """x + conv(silu(norm(conv(silu(norm(x)))))).

    The skip path gets a 1x1 convolution (`shortcut`) only where the number of channels changes.
    The published code creates one in every block and leaves it unused where it does not.

    Args:
        channels: number of output channels.
        num_groups: groups of the normalisation.
    """

    def __init__(self, channels, num_groups=32, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.num_groups = num_groups
        dtype = self.dtype_policy
        self.norm1 = GroupNorm(num_groups, silu=True, dtype=dtype, name="norm1")
        self.conv1 = convolution(channels, dtype=dtype, name="conv1")
        self.norm2 = GroupNorm(num_groups, silu=True, dtype=dtype, name="norm2")
        self.conv2 = convolution(channels, dtype=dtype, name="conv2")
        self.shortcut = None

    def build(self, input_shape):
        """Build the sub-layers; the shortcut exists only if the channels change."""
        output_shape = self.compute_output_shape(input_shape)
        self.norm1.build(input_shape)
        self.conv1.build(input_shape)
        self.norm2.build(output_shape)
        self.conv2.build(output_shape)
        if input_shape[-1] != self.channels:
            self.shortcut = pointwise(self.channels, dtype=self.dtype_policy)
            self.shortcut.build(input_shape)
        self.built = True

    def call(self, inputs):
        """(batch, height, width, any) -> (batch, height, width, channels)."""
        x = self.conv1(self.norm1(inputs))
        x = self.conv2(self.norm2(x))
        return x + (inputs if self.shortcut is None else self.shortcut(inputs))

    def compute_output_shape(self, input_shape):
        """The input's shape with `channels` channels."""
        return (*input_shape[:-1], self.channels)

    def get_config(self):
        """Constructor arguments."""
        config = {"channels": self.channels, "num_groups": self.num_groups}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("keras_bld")
class AttentionBlock(keras.layers.Layer):
    """x + projection(attention(query, key, value of norm(x))) with one head over all positions.

    Args:
        num_groups: groups of the normalisation.
    """

    def __init__(self, num_groups=32, **kwargs):
        super().__init__(**kwargs)
        self.num_groups = num_groups
        self.norm = GroupNorm(num_groups, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        """Create the four 1x1 convolutions; their width is the input's."""
        channels = input_shape[-1]
        self.norm.build(input_shape)
        for name in ("query", "key", "value", "projection"):
            layer = pointwise(channels, dtype=self.dtype_policy)
            layer.build(input_shape)
            setattr(self, name, layer)
        self.built = True

    def call(self, inputs):
        """Attend; the scale is channels ** -0.5."""
        height, width, channels = inputs.shape[1:]
        x = self.norm(inputs)

        def as_sequence(image):
            # (batch, height * width, one head, channels)
            return ops.reshape(image, (-1, height * width, 1, channels))

        attended = attention(
            as_sequence(self.query(x)), as_sequence(self.key(x)), as_sequence(self.value(x))
        )
        attended = ops.reshape(attended, (-1, height, width, channels))
        return inputs + self.projection(attended)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "num_groups": self.num_groups}


@keras.saving.register_keras_serializable("keras_bld")
class Downsample(keras.layers.Layer):
    """Halve height and width: pad one row below and one column to the right, 3x3 stride 2."""

    def build(self, input_shape):
        """Create the convolution; the number of channels stays."""
        batch, height, width, channels = input_shape
        self.conv = convolution(
            channels, strides=2, padding="valid", dtype=self.dtype_policy, name="conv"
        )
        self.conv.build((batch, height + 1, width + 1, channels))
        self.built = True

    def call(self, inputs):
        """(batch, height, width, c) -> (batch, height / 2, width / 2, c)."""
        return self.conv(ops.pad(inputs, ((0, 0), (0, 1), (0, 1), (0, 0))))

    def compute_output_shape(self, input_shape):
        """Half the height and half the width."""
        batch, height, width, channels = input_shape
        return (batch, height // 2, width // 2, channels)


@keras.saving.register_keras_serializable("keras_bld")
class Upsample(keras.layers.Layer):
    """Double height and width: repeat every pixel (nearest neighbour), then a 3x3 convolution."""

    def build(self, input_shape):
        """Create the convolution; the number of channels stays."""
        self.conv = convolution(input_shape[-1], dtype=self.dtype_policy, name="conv")
        self.conv.build(self.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs):
        """(batch, height, width, c) -> (batch, 2 * height, 2 * width, c)."""
        height, width, channels = inputs.shape[1:]
        # Of six ways to repeat the pixels, adding zeros measured fastest over the three backends.
        x = ops.reshape(inputs, (-1, height, 1, width, 1, channels))
        x = x + ops.zeros((1, 1, 2, 1, 2, 1), dtype=x.dtype)
        return self.conv(ops.reshape(x, (-1, 2 * height, 2 * width, channels)))

    def compute_output_shape(self, input_shape):
        """Twice the height and twice the width."""
        batch, height, width, channels = input_shape
        return (batch, 2 * height, 2 * width, channels)
