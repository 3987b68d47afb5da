import importlib
import importlib.util
import sys
import unittest.mock

import pytest


@pytest.fixture
def torch_fidelity(monkeypatch):
    """A function that imports a module of torch-fidelity, e.g. "metric_kid"; skips without it."""
    if importlib.util.find_spec("torch_fidelity") is None:
        pytest.skip("torch-fidelity not installed (pip install --no-deps torch-fidelity tqdm)")
    if importlib.util.find_spec("torchvision") is None:
        # It imports torchvision at once, but neither its formulas nor its networks use it.
        for name in ("", ".datasets", ".transforms", ".transforms.functional"):
            monkeypatch.setitem(sys.modules, f"torchvision{name}", unittest.mock.MagicMock())
    return lambda module: importlib.import_module(f"torch_fidelity.{module}")
