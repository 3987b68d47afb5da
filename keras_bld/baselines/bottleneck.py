"""What a bottleneck between encoder and decoder is."""

import keras
from keras import ops


class Bottleneck(keras.layers.Layer):
    """Encoder outputs -> codes for the decoder, and a loss of its own.

    A subclass sets the attributes and defines `to_codes`.

    Attributes:
        num_inputs: channels that it takes from the encoder for each cell.
        code_channels: channels that it gives to the decoder.
        bits_per_cell: what a cell costs to store; infinite for real numbers.

    Call arguments:
        inputs: (batch, h, w, num_inputs); computed in float32.
        training: sample, and update what is learned without gradients.

    Returns:
        (codes, loss): (batch, h, w, code_channels) in float32, and a scalar.
    """

    num_inputs = None
    code_channels = None
    bits_per_cell = None

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def to_codes(self, inputs, training):
        """`call` for float32 inputs."""
        raise NotImplementedError(f"{type(self).__name__} must define `to_codes`")

    def call(self, inputs, training=False):
        return self.to_codes(ops.cast(inputs, "float32"), training)


def straight_through(value, carrier):
    """`value` forward, the gradient of `carrier` backward; the forward value is exact."""
    return ops.stop_gradient(value) + (carrier - ops.stop_gradient(carrier))


def signs(values):
    """+1 where a value is above 0, else -1."""
    return 2.0 * ops.cast(values > 0.0, "float32") - 1.0


def binary_entropy(probabilities):
    """Entropy of Bernoulli(p) in nats, elementwise."""
    p = ops.clip(probabilities, 1e-6, 1.0 - 1e-6)
    return -(p * ops.log(p) + (1.0 - p) * ops.log(1.0 - p))
