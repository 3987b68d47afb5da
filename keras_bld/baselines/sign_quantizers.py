"""Binary baselines of the Bernoulli code: one bit a channel, -1 or +1."""

import math

import keras
from keras import ops

from keras_bld.base import checks
from keras_bld.baselines.bottleneck import Bottleneck, binary_entropy, signs, straight_through


class _SignQuantizer(Bottleneck):
    """One bit for each channel."""

    def __init__(self, code_channels, **kwargs):
        super().__init__(**kwargs)
        self.code_channels = checks.check_integer("code_channels", code_channels, 1)
        self.num_inputs = self.code_channels
        self.bits_per_cell = self.code_channels
        self.built = True

    def get_config(self):
        return {**super().get_config(), "code_channels": self.code_channels}


@keras.saving.register_keras_serializable("keras_bld")
class TanhBernoulli(_SignQuantizer):
    """Stochastic signs with P(+1) = (1 + tanh(x)) / 2, the gradient that of tanh.

    Source: Raiko et al., "Techniques for Learning Binary Stochastic Feedforward Neural Networks"
    (2015); Toderici et al., "Variable Rate Image Compression with Recurrent Neural Networks"
    (2016), Sec. 3.1.

    Args:
        code_channels: bits in a cell.
        seed: of the layer's own generator.
    """

    def __init__(self, code_channels, seed=None, **kwargs):
        super().__init__(code_channels, **kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def to_codes(self, inputs, training):
        """Sample signs in training, else take the likelier ones."""
        mean = ops.tanh(inputs)
        bars = 0.0
        if training:
            bars = keras.random.uniform(
                ops.shape(mean), -1.0, 1.0, dtype="float32", seed=self.seed_generator
            )
        return straight_through(signs(mean - bars), mean), ops.zeros(())

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("keras_bld")
class LookupFreeQuantizer(_SignQuantizer):
    """Signs of the encoder's outputs, with a commitment and an entropy loss.

    The entropy loss wants each bit sure of itself and, over the batch, used evenly; with
    independent bits it is a sum over bits: mean H(p) - H(mean p), p = sigmoid(4 x / temperature).

    Source: Yu et al., "Language Model Beats Diffusion: Tokenizer is Key to Visual Generation"
    (MAGVIT-v2, 2024), Eq. 4-6.

    Args:
        code_channels: bits in a cell.
        entropy_weight: of the entropy loss (in nats a bit), >= 0.
        commitment_weight: of the squared distance to the signs, >= 0.
        temperature: of p, > 0.
    """

    def __init__(
        self, code_channels, entropy_weight=0.1, commitment_weight=0.25, temperature=1.0, **kwargs
    ):
        super().__init__(code_channels, **kwargs)
        self.entropy_weight = checks.check_number("entropy_weight", entropy_weight, 0.0)
        self.commitment_weight = checks.check_number("commitment_weight", commitment_weight, 0.0)
        self.temperature = checks.check_number("temperature", temperature, 0.0, exclusive=True)

    def to_codes(self, inputs, training):
        """Signs, and both losses."""
        codes = signs(inputs)
        # Softmax over the squared distances to -1 and +1: their difference is 4 x.
        loss = self.entropy_weight * entropy_loss(4.0 * inputs / self.temperature)
        loss = loss + self.commitment_weight * ops.mean(ops.square(inputs - codes))
        return straight_through(codes, inputs), loss

    def get_config(self):
        return {
            **super().get_config(),
            "entropy_weight": self.entropy_weight,
            "commitment_weight": self.commitment_weight,
            "temperature": self.temperature,
        }


@keras.saving.register_keras_serializable("keras_bld")
class BinarySphericalQuantizer(_SignQuantizer):
    """Outputs on the unit sphere, rounded to the corners of a cube inside it.

    Source: Zhao et al., "Image and Video Tokenization with Binary Spherical Quantization" (2024):
    u = x / |x|, code = sign(u) / sqrt(c); the entropy loss with p = sigmoid(4 u / (temperature
    sqrt(c))), its factorised form (Eq. 9-11).

    Args:
        code_channels: bits in a cell.
        entropy_weight: of the entropy loss (in nats a bit), >= 0.
        temperature: of p, > 0 (the inverse of the source's tau).
    """

    def __init__(self, code_channels, entropy_weight=0.1, temperature=0.01, **kwargs):
        super().__init__(code_channels, **kwargs)
        self.entropy_weight = checks.check_number("entropy_weight", entropy_weight, 0.0)
        self.temperature = checks.check_number("temperature", temperature, 0.0, exclusive=True)

    def to_codes(self, inputs, training):
        """Corners of the cube, and the entropy loss."""
        length = ops.sqrt(ops.sum(ops.square(inputs), axis=-1, keepdims=True) + 1e-12)
        on_sphere = inputs / length
        corner = 1.0 / math.sqrt(self.code_channels)
        loss = entropy_loss(4.0 * on_sphere * (corner / self.temperature))
        codes = straight_through(signs(on_sphere) * corner, on_sphere)
        return codes, self.entropy_weight * loss

    def get_config(self):
        return {
            **super().get_config(),
            "entropy_weight": self.entropy_weight,
            "temperature": self.temperature,
        }


def entropy_loss(logits):
    """Mean entropy of each bit less the entropy of its mean over batch and cells, in nats a bit.

    Args:
        logits: of P(bit = +1), (batch, h, w, c).
    """
    probabilities = ops.sigmoid(logits)
    average = ops.mean(probabilities, axis=(0, 1, 2))
    return ops.mean(binary_entropy(probabilities)) - ops.mean(binary_entropy(average))
