"""The encoder network: image -> features on the code's grid."""

import keras

from keras_bld.autoencoder.blocks import (
    AttentionBlock,
    Downsample,
    ResidualBlock,
    convolution,
)
from keras_bld.autoencoder.group_norm import GroupNorm


@keras.saving.register_keras_serializable("keras_bld")
class Encoder(keras.layers.Layer):
    """Image -> features, the encoder of the published binary autoencoder.

    `blocks` lists the layers in the published order (`ae.encoder.blocks.0`, `.1`, ...): a 3x3
    convolution; for each level `num_blocks` residual blocks, each followed by attention where the
    current resolution is one of `attention_resolutions`, and a `Downsample` between levels;
    residual block, attention, residual block; normalisation; a 3x3 convolution without SiLU.

    Source: paper, Section 3 (the network Psi) and the published code.

    Args:
        base_width: channels of the first convolution; multiples of `num_groups`.
        width_multipliers: channels of each level in units of `base_width`. There is one level
            per entry, and the image is halved between levels: f = 2 ** (len - 1).
        num_blocks: residual blocks per level.
        attention_resolutions: heights (in rows) at which every residual block of a level is
            followed by attention.
        embedding_width: output channels.
        num_groups: groups of the normalisation; must divide every width.

    Call arguments:
        images: (batch, height, width, channels) in [0, 1].

    Output shape: (batch, height / f, width / f, embedding_width).
    """

    def __init__(
        self,
        base_width=128,
        width_multipliers=(1, 1, 2, 2, 4),
        num_blocks=2,
        attention_resolutions=(16,),
        embedding_width=256,
        num_groups=32,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.base_width = base_width
        self.width_multipliers = tuple(width_multipliers)
        self.num_blocks = num_blocks
        self.attention_resolutions = tuple(attention_resolutions)
        self.embedding_width = embedding_width
        self.num_groups = num_groups

    def build(self, input_shape):
        """Create and build all blocks; the image size decides where attention goes."""
        dtype = self.dtype_policy
        resolution = input_shape[1]
        self.blocks = [convolution(self.base_width, dtype=dtype)]
        last_level = len(self.width_multipliers) - 1
        for level, multiplier in enumerate(self.width_multipliers):
            width = self.base_width * multiplier
            for _ in range(self.num_blocks):
                self.blocks.append(ResidualBlock(width, self.num_groups, dtype=dtype))
                if resolution in self.attention_resolutions:
                    self.blocks.append(AttentionBlock(self.num_groups, dtype=dtype))
            if level != last_level:
                self.blocks.append(Downsample(dtype=dtype))
                resolution //= 2
        self.blocks += [
            ResidualBlock(width, self.num_groups, dtype=dtype),
            AttentionBlock(self.num_groups, dtype=dtype),
            ResidualBlock(width, self.num_groups, dtype=dtype),
            GroupNorm(self.num_groups, dtype=dtype),
            convolution(self.embedding_width, dtype=dtype),
        ]
        shape = tuple(input_shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def call(self, images):
        """Images in [0, 1] -> features."""
        x = images
        for block in self.blocks:
            x = block(x)
        return x

    def compute_output_shape(self, input_shape):
        """(batch, height / f, width / f, embedding_width)."""
        batch, height, width, _ = input_shape
        factor = 2 ** (len(self.width_multipliers) - 1)
        return (batch, height // factor, width // factor, self.embedding_width)

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "base_width": self.base_width,
            "width_multipliers": self.width_multipliers,
            "num_blocks": self.num_blocks,
            "attention_resolutions": self.attention_resolutions,
            "embedding_width": self.embedding_width,
            "num_groups": self.num_groups,
        }
