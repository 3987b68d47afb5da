"""Position and time embeddings of the denoiser."""

import math

import keras
import numpy as np
from keras import ops

from keras_bld.diffusion.weights import dense

_TIME_RANGE = 4000.0  # the published code stretches t / T to this range before the sinusoid


def sine_position_table(height, width, channels):
    """2D sine embedding: columns in the first half of the channels, rows in the second.

    Returns:
        float32 array of shape (1, height * width, channels).
    """
    frequencies = 1.0 / 10000.0 ** (np.arange(channels // 4) / (channels / 4.0))
    rows, columns = np.mgrid[0:height, 0:width].astype("float64")
    halves = []
    for positions in (columns, rows):
        angles = positions.reshape(-1, 1) * frequencies  # (height * width, channels / 4)
        halves += [np.sin(angles), np.cos(angles)]
    return np.concatenate(halves, axis=1)[None].astype("float32")


@keras.saving.register_keras_serializable("keras_bld")
class TimeEmbedding(keras.layers.Layer):
    """Turns time steps 1 ... T into vectors: sinusoid of (t - 1) / T * 4000, Dense, SiLU, Dense.

    T is that of training, whatever number of steps a sampler takes.
    """

    def __init__(self, width, num_training_steps, **kwargs):
        super().__init__(**kwargs)
        self.num_training_steps = num_training_steps
        self.width = width
        with keras.name_scope(self.name, caller=self):
            self.hidden = dense(width, width, self.dtype_policy, "hidden")
            self.output_projection = dense(width, width, self.dtype_policy, "output")
        self.built = True

    def call(self, time_steps):
        half = self.width // 2
        frequencies = np.exp(-math.log(10000.0) / max(half - 1, 1) * np.arange(half))
        # float32 whatever the policy: bfloat16 cannot tell 3999 from 4000.
        position = (ops.cast(time_steps, "float32") - 1.0) / self.num_training_steps * _TIME_RANGE
        angles = position[:, None] * ops.convert_to_tensor(frequencies, "float32")[None]
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=1)  # (batch, width)
        hidden = ops.silu(self.hidden(ops.cast(waves, self.compute_dtype)))
        return self.output_projection(hidden)
