"""Finite scalar quantisation."""

import math

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.baselines.bottleneck import Bottleneck, straight_through


@keras.saving.register_keras_serializable("keras_bld")
class FiniteScalarQuantizer(Bottleneck):
    """Each channel bounded and rounded to one of a few levels; no codebook, no loss.

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
        self.code_channels = self.num_inputs = len(self.levels)
        self.bits_per_cell = sum(math.log2(level) for level in self.levels)
        self.built = True

    def to_codes(self, inputs, training):
        """Values in [-1, 1]."""
        levels = np.array(self.levels, "float32")
        # An even number of levels lies half a step off zero.
        half_range = (levels - 1.0) * (1.0 + 1e-3) / 2.0
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        shift = np.arctanh(offset / half_range)
        half_range, offset, shift, half_width = (
            ops.convert_to_tensor(constant.astype("float32"))
            for constant in (half_range, offset, shift, np.floor(levels / 2.0))
        )
        bounded = ops.tanh(inputs + shift) * half_range - offset
        return straight_through(ops.round(bounded), bounded) / half_width, ops.zeros(())

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}
