"""Recipes and the runner that carries them out."""

from keras_bld.training.command import main
from keras_bld.training.recipe import Recipe
from keras_bld.training.runner import Runner

__all__ = ["Recipe", "Runner", "main"]
