"""Other binary bottlenecks: one bit a channel, -1 or +1 to the decoder."""

import math

import keras
from keras import ops

from keras_bld.autoencoder import Bottleneck, straight_through
from keras_bld.autoencoder.metrics import binary_entropy
from keras_bld.base import checks, replicas


class _SignQuantizer(Bottleneck):
    """One bit for each channel: the sign of the encoder's output."""

    def __init__(self, code_channels, **kwargs):
        super().__init__(**kwargs)
        self.code_channels = checks.check_integer("code_channels", code_channels, 1)
        self.num_inputs = self.latent_channels = self.code_channels
        self.built = True

    def to_codes(self, inputs, noise=None):
        """1 where the sign is +."""
        return ops.cast(inputs > 0.0, "float32")

    def from_codes(self, codes):
        """Bits -> -1 and +1."""
        return 2.0 * codes - 1.0

    def codewords(self, inputs, noise=None):
        """What the decoder gets, without a gradient."""
        return self.from_codes(self.to_codes(inputs, noise))

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

    def to_latents(self, inputs, training):
        """Sample signs in training, else take the likelier ones."""
        noise = None
        if training:
            noise = replicas.uniform(ops.shape(inputs), self.seed_generator)
        return straight_through(self.codewords(inputs, noise), ops.tanh(inputs)), ops.zeros(())

    def to_codes(self, inputs, noise=None):
        """Sampled where there is noise, else the likelier bits."""
        thresholds = 0.0 if noise is None else 2.0 * noise - 1.0
        return ops.cast(ops.tanh(inputs) > thresholds, "float32")

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

    def to_latents(self, inputs, training):
        """Signs, and both losses."""
        signs = self.codewords(inputs)
        # Softmax over the squared distances to -1 and +1: their difference is 4 x.
        loss = self.entropy_weight * entropy_loss(4.0 * inputs / self.temperature)
        loss = loss + self.commitment_weight * ops.mean(ops.square(inputs - signs))
        return straight_through(signs, inputs), loss

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

    def to_latents(self, inputs, training):
        """Corners of the cube, and the entropy loss."""
        length = ops.sqrt(ops.sum(ops.square(inputs), axis=-1, keepdims=True) + 1e-12)
        on_sphere = inputs / length
        loss = entropy_loss(4.0 * on_sphere * (self._corner / self.temperature))
        codewords = self.codewords(inputs)
        return straight_through(codewords, on_sphere), self.entropy_weight * loss

    def from_codes(self, codes):
        """Bits -> corners of the cube."""
        return super().from_codes(codes) * self._corner

    @property
    def _corner(self):
        return 1.0 / math.sqrt(self.code_channels)

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
    average = replicas.mean(ops.mean(probabilities, axis=(0, 1, 2)))
    return ops.mean(binary_entropy(probabilities)) - ops.mean(binary_entropy(average))
