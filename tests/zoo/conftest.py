"""Small models of both stages."""

import pytest

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion


@pytest.fixture
def make_autoencoder():
    def make(**options):
        sizes = {"base_width": 8, "width_multipliers": (1, 2), "num_blocks": 1, "num_groups": 4}
        return BinaryAutoencoder((8, 8, 3), 4, embedding_width=8, **sizes, **options)

    return make


@pytest.fixture
def make_diffusion():
    def make(autoencoder=None, **options):
        denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_steps=4, **options)
        return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)

    return make
