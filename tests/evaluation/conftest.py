import pytest
from small_models import NUM_CLASSES, shapes

from keras_bld.data import ArraySource
from keras_bld.metrics import FeatureNetwork, build_classifier


@pytest.fixture(scope="module")
def train():
    return ArraySource(*shapes(48, 0))


@pytest.fixture(scope="module")
def held_out():
    return ArraySource(*shapes(36, 1))


@pytest.fixture(scope="module")
def network():
    return FeatureNetwork.from_classifier(build_classifier((16, 16, 1), NUM_CLASSES, 4), "tiny")
