"""Bits from probabilities, with the gradient copied through (paper, Eq. 1)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_bld")
class BernoulliStraightThrough(keras.layers.Layer):
    """Sample or threshold bits; the gradient goes to the probabilities unchanged.

    The output is exactly 0 or 1 in float32, bfloat16 and float16: it is computed as
    stop_gradient(bit) + (p - stop_gradient(p)), where the bracket is exactly zero. (The order of
    Eq. 1 as printed, (bit + p) - p, is not exact in floating point.)

    Source: paper, Eq. 1; Bengio et al. 2013, "Estimating or propagating gradients".

    Args:
        seed: int seed of the layer's own generator, used for sampling without `noise`.

    Call arguments:
        probabilities: P(bit = 1), any shape and floating dtype. Comparisons happen in float32.
        training: sample (True) or threshold at 0.5 (False), unless `deterministic` says so.
        deterministic: True thresholds (bit = p > 0.5), False samples, None follows `training`.
        noise: uniforms in [0, 1) of the same shape; bit = noise < probability. Given noise is
            used whenever the layer samples; it makes the result reproducible.

    Output shape: same as `probabilities`, same dtype.

    Example:
        >>> import numpy as np
        >>> layer = BernoulliStraightThrough()
        >>> bits = layer(np.array([[0.2, 0.7]], "float32"))
        >>> np.array(bits).tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, seed=None, **kwargs):
        # The probabilities keep the dtype that they come in.
        super().__init__(autocast=False, **kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, probabilities, training=False, deterministic=None, noise=None):
        """Return bits as floating point numbers."""
        p = ops.convert_to_tensor(probabilities)
        exact = ops.cast(p, "float32")
        if deterministic is None:
            deterministic = not training
        if deterministic:
            bits = exact > 0.5
        else:
            if noise is None:
                noise = keras.random.uniform(ops.shape(p), seed=self.seed_generator)
            bits = ops.cast(noise, "float32") < exact
        bits = ops.cast(bits, p.dtype)
        return ops.stop_gradient(bits) + (p - ops.stop_gradient(p))

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "seed": self.seed}
