"""Recipes and the runner that carries them out."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.training.command import main
    from keras_bld.training.recipe import Recipe
    from keras_bld.training.runner import Runner

__all__ = ["Recipe", "Runner", "main"]

__getattr__, __dir__ = lazy_names(__name__)
