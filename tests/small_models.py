"""A small model of each stage, for the rooms that save and serve them."""

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion


def small_autoencoder(**options):
    """8 x 8 x 3 images, 4 x 4 x 4 bits."""
    sizes = {"base_width": 8, "width_multipliers": (1, 2), "num_blocks": 1, "num_groups": 4}
    return BinaryAutoencoder((8, 8, 3), 4, embedding_width=8, **sizes, **options)


def small_diffusion(autoencoder=None, **options):
    """A diffusion of four steps for the codes of `small_autoencoder`."""
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_steps=4, **options)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)
