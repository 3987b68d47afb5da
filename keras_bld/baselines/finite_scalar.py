"""Finite scalar quantisation."""

import math

import keras
import numpy as np
from keras import ops

from keras_bld.autoencoder import Bottleneck, straight_through
from keras_bld.base import checks
from keras_bld.baselines.binary_numbers import bits_of, numbers_of


@keras.saving.register_keras_serializable("keras_bld")
class FiniteScalarQuantizer(Bottleneck):
    """Each channel bounded and rounded to one of a few levels; no codebook, no loss.

    The code of a cell is each channel's level in ceil(log2(level count)) bits. Patterns of bits
    beyond the highest level name the highest level.

    Source: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple" (2024), appendix A.1.

    Args:
        levels: number of levels of each channel, >= 2; e.g. (8, 5, 5, 5) for 1000 codes.

    Raises:
        ValueError: no channels, or a channel with fewer than 2 levels.
    """

    def __init__(self, levels=(8, 5, 5, 5), **kwargs):
        super().__init__(**kwargs)
        self.levels = tuple(checks.check_integer("levels", level, 2) for level in levels)
        if not self.levels:
            raise checks.error("levels", "()", "at least one channel", "pass e.g. (8, 5, 5, 5)")
        self.latent_channels = self.num_inputs = len(self.levels)
        self._bits = tuple((level - 1).bit_length() for level in self.levels)
        self.code_channels = sum(self._bits)
        # Levels are counted from -half_width.
        self._half_width = np.array([level // 2 for level in self.levels], "float32")
        self.built = True

    @property
    def bits_per_cell(self):
        """log2 of the number of combinations of levels."""
        return sum(math.log2(level) for level in self.levels)

    def to_latents(self, inputs, training):
        """Values in [-1, 1]."""
        bounded = self._bounded(inputs)
        rounded = straight_through(ops.round(bounded), bounded)
        return rounded / ops.convert_to_tensor(self._half_width), ops.zeros(())

    def to_codes(self, inputs, noise=None):
        """Levels, as bits."""
        levels = ops.round(self._bounded(inputs)) + ops.convert_to_tensor(self._half_width)
        return bits_of(ops.cast(levels, "int32"), self._bits)

    def from_codes(self, codes):
        """The values of these levels."""
        highest = ops.convert_to_tensor(np.array(self.levels, "int32") - 1)
        levels = ops.cast(ops.minimum(numbers_of(codes, self._bits), highest), "float32")
        half_width = ops.convert_to_tensor(self._half_width)
        return (levels - half_width) / half_width

    def _bounded(self, inputs):
        """Numbers whose nearest integers are the levels, counted from -half_width."""
        levels = np.array(self.levels, "float32")
        # An even number of levels lies half a step off zero.
        half_range = (levels - 1.0) * (1.0 + 1e-3) / 2.0
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        shift = np.arctanh(offset / half_range)
        half_range, offset, shift = (
            ops.convert_to_tensor(constant.astype("float32"))
            for constant in (half_range, offset, shift)
        )
        return ops.tanh(inputs + shift) * half_range - offset

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}
