"""`keras-bld train`: the recipes, for those who have no clone of the repository."""

import pathlib
import runpy
import sys
from typing import Literal

from keras_bld.base import checks
from keras_bld.base.runs import recipes_run_as, short_errors

_PACKAGE = pathlib.Path(__file__).parents[1]
# Inside of the wheel; beside the package in a clone.
_PLACES = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")
PROGRAM = "keras-bld train"


def recipe_files():
    """Name -> file of the recipes."""
    folder = next((place for place in _PLACES if place.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("[a-z]*.py"))} if folder else {}


def train_command(recipe: Literal[*recipe_files()], /):  # type: ignore[valid-type]
    """Train a model by a recipe: `keras-bld train RECIPE [options]`.

    Both stages, samples and an evaluation go to runs/RECIPE; the same command goes on after an
    interruption. `keras-bld train RECIPE --help` lists the options of a recipe.

    Args:
        recipe: name of the recipe; digits is the smallest and needs no data.
    """
    run_recipe(recipe)


def run_recipe(recipe, *arguments):
    """Run a recipe's file as a program with these words after its name."""
    files = recipe_files()
    with short_errors():
        checks.check_choice("recipe", recipe, tuple(files))
    sys.argv = [f"{PROGRAM} {recipe}", *arguments]
    with recipes_run_as(PROGRAM):
        runpy.run_path(str(files[recipe]), run_name="__main__")
