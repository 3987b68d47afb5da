"""The examples in the docstrings of all rooms run."""

import doctest
import importlib

import pytest
from harness import PROJECT_ROOT

pytestmark = pytest.mark.once


def modules_with_examples():
    """Dotted names of the modules whose source has an example."""
    for file in sorted(PROJECT_ROOT.glob("keras_bld/**/*.py")):
        if ">>> " in file.read_text():
            yield ".".join(file.relative_to(PROJECT_ROOT).with_suffix("").parts)


def test_examples_run():
    num_examples = 0
    for name in modules_with_examples():
        # In view of the module's own names, as a reader of its page sees them.
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        for test in doctest.DocTestFinder().find(importlib.import_module(name)):
            runner.run(test)
        assert runner.failures == 0, name
        num_examples += runner.tries
    assert num_examples > 50
