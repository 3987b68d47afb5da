"""The decoder network: bits -> image."""

import keras
from keras import ops

from keras_bld.autoencoder.blocks import (
    AttentionBlock,
    ResidualBlock,
    Upsample,
    convolution,
)
from keras_bld.autoencoder.group_norm import GroupNorm


@keras.saving.register_keras_serializable("keras_bld")
class Decoder(keras.layers.Layer):
    """Bits -> image, the decoder ("generator") of the published binary autoencoder.

    The bits of a cell are multiplied by a (code_channels, embedding_width) matrix without bias
    (`embedding`, published as `ae.quantize.embed`). `blocks` lists the following layers in the
    published order (`ae.generator.blocks.0`, `.1`, ...): normalisation (if `norm_first`); a 3x3
    convolution; residual block, attention, residual block; for each level, the coarsest first,
    `num_blocks` residual blocks, each followed by attention where the current resolution is one
    of `attention_resolutions`, and an `Upsample` between levels; normalisation; a 3x3 convolution
    to the image's channels, with no nonlinearity after it.

    With `pixel_shuffle` r, which is not the paper's, the last convolution makes r x r pixels at
    each position (Shi et al., 2016, arXiv:1609.05158), so that no layer runs at full resolution.

    Source: paper, Section 3 (the network Phi) and the published code.

    Args:
        image_channels: channels of the image.
        base_width: channels of the finest level in units of its multiplier.
        width_multipliers: as for the encoder, from the finest level to the coarsest.
        num_blocks: residual blocks per level. The published option `gen_mul` multiplies this
            number (e.g. 2 blocks with gen_mul 1.5 are 3).
        attention_resolutions: heights (in rows) that get attention.
        embedding_width: channels of the embedded bits.
        num_groups: groups of the normalisation; must divide every width.
        norm_first: whether the embedded bits are normalised before the first convolution.
        pixel_shuffle: r; 1 is the paper's.

    Call arguments:
        codes: {0, 1} (or relaxed bits) of shape (batch, h, w, code_channels).

    Output shape: (batch, h * f, w * f, image_channels) with f = r * 2 ** (levels - 1), about
        [0, 1] but not clipped.
    """

    def __init__(
        self,
        image_channels=3,
        base_width=128,
        width_multipliers=(1, 1, 2, 2, 4),
        num_blocks=2,
        attention_resolutions=(16,),
        embedding_width=256,
        num_groups=32,
        norm_first=True,
        pixel_shuffle=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_channels = image_channels
        self.base_width = base_width
        self.width_multipliers = tuple(width_multipliers)
        self.num_blocks = num_blocks
        self.attention_resolutions = tuple(attention_resolutions)
        self.embedding_width = embedding_width
        self.num_groups = num_groups
        self.norm_first = norm_first
        self.pixel_shuffle = pixel_shuffle

    def build(self, input_shape):
        """Create and build the embedding and all blocks."""
        dtype = self.dtype_policy
        groups = self.num_groups
        self.embedding = self.add_weight(
            name="embedding",
            shape=(input_shape[-1], self.embedding_width),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        resolution = input_shape[1]
        width = self.base_width * self.width_multipliers[-1]
        self.blocks = [GroupNorm(groups, dtype=dtype)] if self.norm_first else []
        self.blocks += [
            convolution(width, dtype=dtype),
            ResidualBlock(width, groups, dtype=dtype),
            AttentionBlock(groups, dtype=dtype),
            ResidualBlock(width, groups, dtype=dtype),
        ]
        for level in reversed(range(len(self.width_multipliers))):
            width = self.base_width * self.width_multipliers[level]
            for _ in range(self.num_blocks):
                self.blocks.append(ResidualBlock(width, groups, dtype=dtype))
                if resolution in self.attention_resolutions:
                    self.blocks.append(AttentionBlock(groups, dtype=dtype))
            if level != 0:
                self.blocks.append(Upsample(dtype=dtype))
                resolution *= 2
        self.blocks += [
            GroupNorm(groups, dtype=dtype),
            convolution(self.image_channels * self.pixel_shuffle**2, dtype=dtype),
        ]
        shape = (*input_shape[:-1], self.embedding_width)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def embed(self, codes):
        """Bits (batch, h, w, code_channels) -> (batch, h, w, embedding_width)."""
        return ops.matmul(
            ops.cast(codes, self.compute_dtype), ops.cast(self.embedding, self.compute_dtype)
        )

    def features(self, codes):
        """Everything but the last convolution: (batch, height, width, base width)."""
        x = self.embed(codes)
        for block in self.blocks[:-1]:
            x = block(x)
        return x

    @property
    def last_convolution(self):
        """The layer that turns `features` into an image (of r x r times the channels)."""
        return self.blocks[-1]

    def call(self, codes):
        """Bits -> image, not clipped."""
        x = self.last_convolution(self.features(codes))
        side = self.pixel_shuffle
        if side == 1:
            return x
        _, height, width, _ = x.shape
        x = ops.reshape(x, (-1, height, width, side, side, self.image_channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height * side, width * side, self.image_channels))

    def compute_output_shape(self, input_shape):
        """(batch, h * f, w * f, image_channels)."""
        batch, height, width, _ = input_shape
        factor = self.pixel_shuffle * 2 ** (len(self.width_multipliers) - 1)
        return (batch, height * factor, width * factor, self.image_channels)

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "image_channels": self.image_channels,
            "base_width": self.base_width,
            "width_multipliers": self.width_multipliers,
            "num_blocks": self.num_blocks,
            "attention_resolutions": self.attention_resolutions,
            "embedding_width": self.embedding_width,
            "num_groups": self.num_groups,
            "norm_first": self.norm_first,
            "pixel_shuffle": self.pixel_shuffle,
        }
