"""The paper's bottleneck: a Bernoulli bit for each channel."""

import keras
from keras import ops

from keras_bld.autoencoder.bottleneck import Bottleneck
from keras_bld.autoencoder.straight_through import BernoulliStraightThrough
from keras_bld.base import checks


@keras.saving.register_keras_serializable("keras_bld")
class BernoulliBottleneck(Bottleneck):
    """Bits with P(1) = sigmoid(x), sampled in training; the gradient is copied through.

    Source: paper, Section 3 and Eq. 1.

    Args:
        code_channels: bits in a cell.
        seed: of the layer's own generator.

    Raises:
        ValueError: `code_channels` is below 1.
    """

    def __init__(self, code_channels, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.code_channels = checks.check_integer("code_channels", code_channels, 1)
        self.num_inputs = self.latent_channels = self.code_channels
        self.seed = seed
        # Bits reach the decoder in float32, whatever policy the networks follow.
        self.bernoulli = BernoulliStraightThrough(seed, dtype="float32", name="bernoulli")
        self.built = True

    def probabilities(self, inputs):
        """P(bit = 1) in float32."""
        return ops.sigmoid(ops.cast(inputs, "float32"))

    def to_latents(self, inputs, training):
        """Bits, and no loss."""
        return self.bernoulli(self.probabilities(inputs), training=training), ops.zeros(())

    def to_codes(self, inputs, noise=None):
        """Thresholded bits, or sampled ones."""
        deterministic = noise is None
        return self.bernoulli(self.probabilities(inputs), deterministic=deterministic, noise=noise)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "code_channels": self.code_channels, "seed": self.seed}
