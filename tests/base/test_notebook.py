import sys
import types

import pytest

from keras_bld.base.notebook import in_notebook

pytestmark = pytest.mark.once


def test_a_notebook_is_a_shell_with_a_kernel(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    ipython = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    for shell, expected in (
        (None, False),
        (types.SimpleNamespace(), False),  # a terminal
        (types.SimpleNamespace(kernel=1), True),
    ):
        ipython.get_ipython = lambda shell=shell: shell
        assert in_notebook() is expected
