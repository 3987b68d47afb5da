"""The straight-through estimator, and bits from probabilities with it (paper, Eq. 1)."""

import keras
from keras import ops

from keras_bld.base import replicas


def straight_through(value, carrier):
    """`value` forward, the gradient of `carrier` backward.

    The forward value is exact, because the bracket is exactly zero. (The order of Eq. 1 as
    printed, (value + carrier) - carrier, is not exact in floating point.)

    Source: Bengio et al. 2013, "Estimating or propagating gradients".
    """
    return ops.stop_gradient(value) + (carrier - ops.stop_gradient(carrier))


@keras.saving.register_keras_serializable("keras_bld")
class BernoulliStraightThrough(keras.layers.Layer):
    """Sample or threshold bits; the gradient goes to the probabilities unchanged.

    Computed in float32; the output is exactly 0 or 1 in every dtype.

    Source: paper, Eq. 1.

    Args:
        seed: int seed of the layer's own generator, used for sampling without `noise`.

    Call arguments:
        probabilities: P(bit = 1), any shape and floating dtype.
        training: sample (True) or threshold at 0.5 (False), unless `deterministic` says so.
        deterministic: True thresholds (bit = p > 0.5), False samples, None follows `training`.
        noise: uniforms in [0, 1) of the same shape; bit = noise < probability. Given noise is
            used whenever the layer samples; it makes the result reproducible.

    Output shape: same as `probabilities`, in the layer's compute dtype.

    Example:
        >>> import numpy as np
        >>> from keras_bld.autoencoder import BernoulliStraightThrough
        >>> layer = BernoulliStraightThrough()
        >>> bits = layer(np.array([[0.2, 0.7]], "float32"))
        >>> np.array(bits).tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, seed=None, **kwargs):
        # In a lower precision probabilities near 0.5 and noise near them would round.
        super().__init__(autocast=False, **kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, probabilities, training=False, deterministic=None, noise=None):
        """Return bits as floating point numbers."""
        p = ops.cast(probabilities, "float32")
        if deterministic is None:
            deterministic = not training
        if deterministic:
            bits = p > 0.5
        else:
            if noise is None:
                noise = replicas.uniform(ops.shape(p), self.seed_generator)
            bits = ops.cast(noise, "float32") < p
        bits = straight_through(ops.cast(bits, "float32"), p)
        return ops.cast(bits, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "seed": self.seed}
