"""Small models of each stage and the images they are for: the one factory of the tests."""

import numpy as np

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.baselines import BottleneckAutoencoder
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion


def small_autoencoder(image_shape=(8, 8, 3), code_channels=4, bottleneck=None, **options):
    """8 x 8 x 3 images, 4 x 4 x 4 bits; or with a bottleneck of its own. `options` override."""
    sizes = {"base_width": 8, "width_multipliers": (1, 2), "num_blocks": 1, "num_groups": 4}
    options = {**sizes, "embedding_width": 8, **options}
    if bottleneck is not None:
        return BottleneckAutoencoder(image_shape, bottleneck, **options)
    return BinaryAutoencoder(image_shape, code_channels, **options)


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
    autoencoder = small_autoencoder(
        (16, 16, 1),
        base_width=4,
        width_multipliers=(1, 1),
        num_groups=2,
        attention_resolutions=(),
    )
    denoiser = BernoulliDenoiser((8, 8, 4), 1, 16, 2, num_training_steps=4, num_classes=NUM_CLASSES)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)
