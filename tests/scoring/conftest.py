import numpy as np
import pytest
from harness import write_class_folders

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.data import ArraySource
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.evaluation import FeatureNetwork, build_classifier

NUM_CLASSES = 3


def shapes(num_images, seed):
    """Gray images of 16 x 16 of three brightnesses, with noise, and their classes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num_images) % NUM_CLASSES
    levels = (60 + 60 * labels)[:, None, None, None]
    images = np.clip(levels + generator.normal(0, 20, (num_images, 16, 16, 1)), 0, 255)
    return images.astype("uint8"), labels


@pytest.fixture(scope="module")
def train():
    return ArraySource(*shapes(48, 0))


@pytest.fixture(scope="module")
def held_out():
    return ArraySource(*shapes(36, 1))


@pytest.fixture(scope="module")
def model():
    autoencoder = BinaryAutoencoder(
        (16, 16, 1), 4, base_width=4, width_multipliers=(1, 1), num_blocks=1,
        attention_resolutions=(), embedding_width=8, num_groups=2,
    )  # fmt: skip
    denoiser = BernoulliDenoiser((8, 8, 4), 1, 16, 2, num_steps=4, num_classes=NUM_CLASSES)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)


@pytest.fixture(scope="module")
def network():
    return FeatureNetwork.from_classifier(build_classifier((16, 16, 1), NUM_CLASSES, 4), "tiny")


@pytest.fixture
def data_folder(tmp_path):
    splits = {"train": shapes(48, 0), "val": shapes(36, 1)}
    class_names = [f"class_{label}" for label in range(NUM_CLASSES)]
    write_class_folders(tmp_path / "data", splits, class_names)
    return tmp_path / "data"
