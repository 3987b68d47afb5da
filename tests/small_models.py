"""Small models of each stage and the images they are for: the one factory of the tests."""

import numpy as np

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion


def small_autoencoder(**options):
    """8 x 8 x 3 images, 4 x 4 x 4 bits."""
    sizes = {"base_width": 8, "width_multipliers": (1, 2), "num_blocks": 1, "num_groups": 4}
    return BinaryAutoencoder((8, 8, 3), 4, embedding_width=8, **sizes, **options)


def small_diffusion(autoencoder=None, **options):
    """A diffusion of four steps for the codes of `small_autoencoder`."""
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=4, **options)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)


NUM_CLASSES = 3  # of `shapes`


def shapes(num_images, seed):
    """Gray images of 16 x 16 of three brightnesses, with noise, and their classes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num_images) % NUM_CLASSES
    levels = (60 + 60 * labels)[:, None, None, None]
    images = np.clip(levels + generator.normal(0, 20, (num_images, 16, 16, 1)), 0, 255)
    return images.astype("uint8"), labels


def shapes_model():
    """A class-conditional diffusion of four steps for `shapes`, with its autoencoder."""
    autoencoder = BinaryAutoencoder(
        (16, 16, 1), 4, base_width=4, width_multipliers=(1, 1), num_blocks=1,
        attention_resolutions=(), embedding_width=8, num_groups=2,
    )  # fmt: skip
    denoiser = BernoulliDenoiser((8, 8, 4), 1, 16, 2, num_training_steps=4, num_classes=NUM_CLASSES)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)
