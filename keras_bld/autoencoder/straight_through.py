"""The straight-through estimator, and bits from probabilities with it (paper, Eq. 1)."""

import keras
from keras import ops

from keras_bld.base import checks, replicas

# How the gradient passes a bit: copied, or weighted by what was drawn.
BIT_GRADIENTS = ("straight_through", "reinmax")
_SMALLEST_PROBABILITY = 1e-6


def straight_through(value, carrier):
    """`value` forward, the gradient of `carrier` backward.

    The forward value is exact, because the bracket is exactly zero. (The order of Eq. 1 as
    printed, (value + carrier) - carrier, is not exact in floating point.)

    Source: Bengio et al. 2013, "Estimating or propagating gradients".
    """
    return ops.stop_gradient(value) + (carrier - ops.stop_gradient(carrier))


def _weighted_by_draw(bits, p):
    """A carrier for drawn bits whose gradient is exact to second order in each of them.

    d/dp of E f(bit) is f(1) - f(0), for which a quadratic f has (f'(0) + f'(1)) / 2. One draw sees
    one of the two slopes, with its probability: 1 / (2 P(what was drawn)) weights it without bias.
    """
    drawn = bits * p + (1 - bits) * (1 - p)
    return p * ops.stop_gradient(0.5 / ops.maximum(drawn, _SMALLEST_PROBABILITY))


@keras.saving.register_keras_serializable("keras_bld")
class BernoulliStraightThrough(keras.layers.Layer):
    """Sample or threshold bits; the gradient goes to the probabilities.

    Computed in float32; the output is exactly 0 or 1 in every dtype.

    Source: paper, Eq. 1; "reinmax" is Liu et al. 2023, "Bridging Discrete and Backpropagation:
    Straight-Through and Beyond", for a choice between two.

    Args:
        seed: int seed of the layer's own generator, used for sampling without `noise`.
        gradient: "straight_through" copies it (the paper's); "reinmax" divides that of a sampled
            bit by twice the probability of what was drawn, which on average is exact for whatever
            is quadratic in each bit (the copy is exact for what is linear). Then training also
            sees what the noise of an undecided bit costs. Thresholded bits copy it either way.

    Raises:
        ValueError: an unknown `gradient`.

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

    def __init__(self, seed=None, gradient="straight_through", **kwargs):
        # In a lower precision probabilities near 0.5 and noise near them would round.
        super().__init__(autocast=False, **kwargs)
        self.seed = seed
        checks.check_choice("gradient", gradient, BIT_GRADIENTS)
        self.gradient = gradient
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
        bits, carrier = ops.cast(bits, "float32"), p
        if self.gradient == "reinmax" and not deterministic:
            carrier = _weighted_by_draw(bits, p)
        return ops.cast(straight_through(bits, carrier), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "seed": self.seed, "gradient": self.gradient}
