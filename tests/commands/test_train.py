"""Recipes by name, for those who have the wheel alone."""

import sys
import tomllib

import pytest
from harness import PROJECT_ROOT

from keras_bld.__main__ import main
from keras_bld.commands import train
from keras_bld.training import runner

pytestmark = pytest.mark.once


def test_every_recipe_is_there_and_comes_with_the_wheel():
    in_clone = {path.stem for path in (PROJECT_ROOT / "recipes").glob("*.py")}
    assert set(train.recipe_files()) == in_clone
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    # `recipes` in the package is where the command looks first.
    assert wheel["force-include"] == {"recipes": "keras_bld/recipes"}
    assert train._PLACES[0] == PROJECT_ROOT / "keras_bld" / "recipes"
    assert project["project"]["scripts"] == {"keras-bld": "keras_bld.__main__:main"}


def test_its_options_are_those_of_the_recipe(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(runner.Runner, "run", lambda self: seen.append(self.recipe))
    monkeypatch.setattr(sys, "argv", ["keras-bld"])
    main(["train", "digits", "--seed", "7", "--work-dir", str(tmp_path)])
    (recipe,) = seen
    assert recipe.name == "digits" and recipe.seed == 7
    assert recipe.command == "python recipes/digits.py --seed 7"  # the command has ended

    monkeypatch.setattr(runner.Runner, "run", lambda self: seen.append(self.recipe.command))
    main(["train", "digits", "--seed", "7", "--work-dir", str(tmp_path)])
    assert seen[-1] == "keras-bld train digits --seed 7"


def test_help_shows_the_recipe(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["keras-bld"])
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits", "--help"])
    shown = capsys.readouterr().out
    assert not ended.value.code
    assert shown.startswith("usage: keras-bld train digits") and "Handwritten digits" in shown


def test_an_unknown_recipe():
    with pytest.raises(SystemExit, match="error: Invalid `recipe`: received 'digit'.*'digits'"):
        main(["train", "digit"])
