"""The contract of what stands between encoder and decoder."""

import math

import keras
from keras import ops


class Bottleneck(keras.layers.Layer):
    """Encoder outputs -> latents for the decoder and a loss; and the code that stage 2 learns.

    A subclass sets `num_inputs`, `latent_channels` and `code_channels` in its constructor and
    defines `to_latents`. Where its latents are discrete, `to_codes` and `from_codes` turn them
    into bits and back, so that from_codes(to_codes(inputs)) are the latents of evaluation.
    Without those two, the latents themselves are the code: right for latents that are 0 or 1, and
    for real numbers, which have no bits (`has_binary_codes = False`).

    Attributes:
        num_inputs: channels that it takes from the encoder for each cell.
        latent_channels: channels that it gives to the decoder.
        code_channels: channels of the code: bits of a cell.
        has_binary_codes: whether codes are bits, from which stage 2 can learn.
        bits_per_cell: what a cell costs to store; less than `code_channels` where some patterns
            of bits name no codeword, infinite for real numbers.

    Call arguments:
        inputs: (batch, h, w, num_inputs); computed in float32.
        training: sample, and update what is learned without gradients.

    Returns:
        (latents, loss): (batch, h, w, latent_channels) in float32, and a scalar.
    """

    num_inputs = None
    latent_channels = None
    code_channels = None
    has_binary_codes = True

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def add_weight(self, *args, **kwargs):
        """`keras.layers.Layer.add_weight` of a weight that no policy around the layer casts.

        `to_codes` and `from_codes` are called as they are, also inside models of mixed precision.
        """
        return super().add_weight(*args, **{"autocast": False, **kwargs})

    @property
    def bits_per_cell(self):
        """Bits that a cell of the code is worth."""
        return float(self.code_channels) if self.has_binary_codes else math.inf

    def to_latents(self, inputs, training):
        """`call` for float32 inputs."""
        raise NotImplementedError(f"{type(self).__name__} must define `to_latents`")

    def to_codes(self, inputs, noise=None):
        """Encoder outputs -> codes.

        Args:
            inputs: float32 (batch, h, w, num_inputs).
            noise: None for the likeliest code; uniforms in [0, 1) of shape (batch, h, w,
                code_channels) to sample one, where the bottleneck is stochastic.

        Returns:
            float32 (batch, h, w, code_channels); {0, 1} where `has_binary_codes`.
        """
        return self.to_latents(inputs, training=False)[0]

    def from_codes(self, codes):
        """Codes -> latents (batch, h, w, latent_channels) in float32.

        Bits that name no codeword give the nearest one that there is.
        """
        return codes

    def call(self, inputs, training=False):
        """Latents and loss."""
        return self.to_latents(ops.cast(inputs, "float32"), training)
