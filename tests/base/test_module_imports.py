"""What modules import, as their sources say."""

import pytest

from keras_bld.base.module_imports import imported_by, lazy_homes, needs_keras

pytestmark = pytest.mark.once


def test_imports_are_packages_modules_and_the_homes_of_lazy_names():
    found = imported_by("keras_bld.training.command")
    assert {
        "keras_bld.training",  # its package
        "tyro",
        "keras_bld.base.checks",  # a module, taken from its package
        "keras_bld.training.recipe",
    } - set(found) == {"tyro"}  # inside of a function
    assert "keras_bld.training.runner" not in found
    assert "keras_bld.baselines.bottlenecks" in imported_by("keras_bld.training.recipe")


def test_names_in_parentheses_are_read(tmp_path, monkeypatch):
    (tmp_path / "keras_bld").mkdir()
    source = (
        "from keras_bld.some import (  # why\n    first,\n    second as other,\n)\nimport os, re\n"
    )
    (tmp_path / "keras_bld" / "module.py").write_text(f"if True:\n    import hidden\n{source}")
    (tmp_path / "keras_bld" / "__init__.py").write_text("")
    (tmp_path / "keras_bld" / "some").mkdir()
    for name in ("__init__", "first"):
        (tmp_path / "keras_bld" / "some" / f"{name}.py").write_text("")
    monkeypatch.setattr("keras_bld.base.module_imports._ROOT", tmp_path)
    found = imported_by.__wrapped__("keras_bld.module")
    assert found == ["keras_bld", "keras_bld.some", "keras_bld.some.first", "os", "re"]


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("keras_bld.base.checks", False),
        ("keras_bld.training.recipe", False),
        ("keras_bld.training.runner", True),  # by its own import
        ("keras_bld.commands.generated", True),  # by what it imports
        ("keras_bld.nothing_of_that_name", True),
        ("os", False),
    ],
)
def test_a_module_needs_keras_if_anything_that_it_imports_does(name, needs):
    assert needs_keras(name) is needs


def test_lazy_names_have_homes():
    assert lazy_homes("keras_bld.training")["main"] == "keras_bld.training.command"
    assert lazy_homes("keras_bld.training.command") == {}
