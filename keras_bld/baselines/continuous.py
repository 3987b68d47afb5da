"""Real-valued codes with a small KL term, as in latent diffusion."""

import keras
from keras import ops

from keras_bld.autoencoder import Bottleneck
from keras_bld.base import checks, replicas


@keras.saving.register_keras_serializable("keras_bld")
class GaussianBottleneck(Bottleneck):
    """The KL-regularised real-valued code of latent diffusion (the paper's "real value").

    The encoder gives mean and log-variance of each channel; training samples, evaluation takes
    the mean. Such codes have no bits: stage 2 cannot learn from them.

    Source: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022).

    Args:
        code_channels: real numbers in a cell.
        kl_weight: of KL(N(mean, variance) || N(0, 1)) per number, >= 0.
        seed: of the layer's own generator.

    Raises:
        ValueError: an argument outside its range.
    """

    has_binary_codes = False

    def __init__(self, code_channels, kl_weight=1e-6, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.code_channels = checks.check_integer("code_channels", code_channels, 1)
        self.latent_channels = self.code_channels
        self.num_inputs = 2 * self.code_channels
        self.kl_weight = checks.check_number("kl_weight", kl_weight, 0.0)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def to_latents(self, inputs, training):
        """Sample, or take the mean."""
        mean, log_variance = _moments(inputs)
        latents = mean
        if training:
            noise = replicas.normal(ops.shape(mean), self.seed_generator)
            latents = mean + ops.exp(0.5 * log_variance) * noise
        kl = 0.5 * (ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance)
        return latents, self.kl_weight * ops.mean(kl)

    def to_codes(self, inputs, noise=None):
        """The mean, or a sample by the inverse of the normal distribution function."""
        mean, log_variance = _moments(inputs)
        if noise is None:
            return mean
        # Uniforms are multiples of 2**-24; half of one more keeps the result finite.
        # TensorFlow halves what is inverted plus one: nearer to 1 than this it would round to 1.
        most = 1.0 - 2.0**-23
        centred = ops.clip(2.0 * noise - (1.0 - 2.0**-24), -most, most)
        normal = 2.0**0.5 * ops.erfinv(centred)
        return mean + ops.exp(0.5 * log_variance) * normal

    def get_config(self):
        return {
            **super().get_config(),
            "code_channels": self.code_channels,
            "kl_weight": self.kl_weight,
            "seed": self.seed,
        }


def _moments(inputs):
    """Mean and log-variance of each number."""
    mean, log_variance = ops.split(inputs, 2, axis=-1)
    return mean, ops.clip(log_variance, -30.0, 20.0)
