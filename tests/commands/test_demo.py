import sys
import types

import pytest

from keras_bld.__main__ import main

pytestmark = pytest.mark.once


def test_the_page_of_a_preset_is_served_on_this_machine(monkeypatch):
    served = []
    monkeypatch.setitem(sys.modules, "gradio", types.ModuleType("gradio"))
    layout = "keras_bld.serving.page_layout."
    monkeypatch.setattr(f"{layout}build_page", lambda page: page)
    monkeypatch.setattr(f"{layout}open_page", lambda *arguments: served.append(arguments))
    main(["demo"])
    main(["demo", "bld_digits_16", "--host", "0.0.0.0", "--port", "8000"])
    assert [(page.preset, *where) for page, *where in served] == [
        ("bld_digits_16", "127.0.0.1", None),
        ("bld_digits_16", "0.0.0.0", 8000),
    ]


def test_without_gradio_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit) as caught:
        main(["demo"])
    assert "[demo]" in str(caught.value.code)
