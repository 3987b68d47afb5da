"""The recipes of the project, imported from their files."""

import importlib.util
import sys

from harness import PROJECT_ROOT

from keras_bld.training import Recipe

# ablations.py compares models and is no `Recipe`; tests/ablations runs it.
RECIPES = sorted(path.stem for path in (PROJECT_ROOT / "recipes").glob("*.py"))
RECIPES.remove("ablations")
FROM_TFDS = {
    "celeba_hq_1024",
    "celeba_hq_256",
    "imagenet_cond",
    "lsun_bedrooms_256",
    "lsun_churches_256",
}


def recipe_class(name):
    """The subclass of `Recipe` in recipes/NAME.py."""
    path = PROJECT_ROOT / "recipes" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Recipe) and value is not Recipe
    ]
    return found
