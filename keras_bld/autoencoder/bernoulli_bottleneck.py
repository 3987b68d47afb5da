"""The paper's bottleneck: a Bernoulli bit for each channel."""

import keras
from keras import ops

from keras_bld.autoencoder.bottleneck import Bottleneck
from keras_bld.autoencoder.straight_through import BernoulliStraightThrough
from keras_bld.base import checks


@keras.saving.register_keras_serializable("keras_bld")
class BernoulliBottleneck(Bottleneck):
    """Bits with P(1) = sigmoid(sharpness x), sampled in training; the gradient passes them.

    Source: paper, Section 3 and Eq. 1, with sharpness 1. A larger one gives the same family of
    codes and learns faster at first: bits are decided sooner, and the gradient is larger where they
    are not (docs/experiments.md has numbers).

    Args:
        code_channels: bits in a cell.
        seed: of the layer's own generator.
        sharpness: factor of the logits, above 0.
        gradient: how it passes the bits, see `BernoulliStraightThrough`.

    Raises:
        ValueError: `code_channels` is below 1, `sharpness` is not above 0, or an unknown
            `gradient`.
    """

    def __init__(
        self, code_channels, seed=None, sharpness=1.0, gradient="straight_through", **kwargs
    ):
        super().__init__(**kwargs)
        self.code_channels = checks.check_integer("code_channels", code_channels, 1)
        self.sharpness = checks.check_number("sharpness", sharpness, 0, exclusive=True)
        self.num_inputs = self.latent_channels = self.code_channels
        self.seed = seed
        # Bits reach the decoder in float32, whatever policy the networks follow.
        self.bernoulli = BernoulliStraightThrough(seed, gradient, dtype="float32", name="bernoulli")
        self.gradient = self.bernoulli.gradient
        self.built = True

    def probabilities(self, inputs):
        """P(bit = 1) in float32."""
        return ops.sigmoid(self.sharpness * ops.cast(inputs, "float32"))

    def to_latents(self, inputs, training):
        """Bits, and no loss."""
        return self.bernoulli(self.probabilities(inputs), training=training), ops.zeros(())

    def to_codes(self, inputs, noise=None):
        """Thresholded bits, or sampled ones."""
        deterministic = noise is None
        return self.bernoulli(self.probabilities(inputs), deterministic=deterministic, noise=noise)

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "code_channels": self.code_channels,
            "seed": self.seed,
            "sharpness": self.sharpness,
            "gradient": self.gradient,
        }
