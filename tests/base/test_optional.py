"""The advice to install an extra is true for how the library was installed."""

import json
import types

import pytest
from harness import PROJECT_ROOT

from keras_bld.base import optional

pytestmark = pytest.mark.once


def test_from_a_clone():
    with pytest.raises(ImportError) as caught:
        optional.import_optional("no_such_package.part", "serve")
    assert "the package `no_such_package`" in str(caught.value)
    assert f"Fix: pip install '{PROJECT_ROOT}[serve]'." in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, 'pip install "keras_bld[text]"'),
        (
            {"url": "file:///tmp/keras_bld-0.1.0-py3-none-any.whl", "archive_info": {}},
            'pip install "keras_bld[text] @ file:///tmp/keras_bld-0.1.0-py3-none-any.whl"',
        ),
        (
            {"url": "file:///home/me/my%20clone", "dir_info": {}},
            "pip install '/home/me/my clone[text]'",
        ),
        (
            {"url": "https://example.org/keras_bld", "vcs_info": {"vcs": "git"}},
            'pip install "keras_bld[text] @ git+https://example.org/keras_bld"',
        ),
    ],
)
def test_where_it_was_installed_from(origin, command, tmp_path, monkeypatch):
    monkeypatch.setattr(optional, "_CLONE", tmp_path)
    text = None if origin is None else json.dumps(origin)
    distribution = types.SimpleNamespace(read_text={"direct_url.json": text}.get)
    monkeypatch.setattr(optional.importlib.metadata, "distribution", lambda name: distribution)
    assert optional.install_command("text") == command
