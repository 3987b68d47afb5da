import doctest
import importlib
import pkgutil

import pytest

import keras_bld.diffusion

MODULES = [
    f"keras_bld.diffusion.{module.name}"
    for module in pkgutil.iter_modules(keras_bld.diffusion.__path__)
]
WITH_EXAMPLES = {"denoiser", "model", "schedule"}


@pytest.mark.once
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    # Run with nothing of the module's own in scope: what an example uses, it imports.
    module = importlib.import_module(name)
    tests = doctest.DocTestFinder().find(module, extraglobs=None)
    runner = doctest.DocTestRunner()
    for test in tests:
        test.globs = {"__name__": "__main__"}
        runner.run(test)
    assert runner.failures == 0
    if name.rpartition(".")[2] in WITH_EXAMPLES:
        assert runner.tries > 0


def test_all_examples_are_looked_for():
    found = {
        name.rpartition(".")[2]
        for name in MODULES
        if any(
            test.examples for test in doctest.DocTestFinder().find(importlib.import_module(name))
        )
    }
    assert found == WITH_EXAMPLES
