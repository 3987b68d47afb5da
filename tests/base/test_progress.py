import io
import sys
import time
import types

import numpy as np
import pytest
import rich.progress

from keras_bld.base import progress
from keras_bld.base.progress import followed, progress_bar

pytestmark = pytest.mark.once


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal, and bars that appear at once."""
    screen = Terminal()
    monkeypatch.setattr(progress, "sys", types.SimpleNamespace(stderr=screen, stdout=sys.stdout))
    monkeypatch.setattr(progress, "SECONDS_BEFORE_SHOWN", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return screen


def until(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_what_takes_long_is_shown(terminal, capsys):
    with progress_bar("generate", 8) as done:
        done(3)
        until(lambda: "3/8" in terminal.getvalue())
    assert "generate" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_what_is_done_while_the_bar_appears_is_shown(terminal, monkeypatch):
    bar = progress._TerminalBar("generate", 8)
    appear = rich.progress.Progress.start

    def appear_while_work_goes_on(self):
        appear(self)
        bar.update(3)

    monkeypatch.setattr(rich.progress.Progress, "start", appear_while_work_goes_on)
    bar.start()
    until(lambda: "3/8" in terminal.getvalue())
    bar.stop()


def test_what_is_quick_is_not(terminal, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BEFORE_SHOWN", 60.0)
    with progress_bar("generate", 8) as done:
        done(8)
    assert terminal.getvalue() == ""


def test_work_of_unknown_length_is_shown(terminal):
    with progress_bar("compile", None):
        until(lambda: "compile" in terminal.getvalue())


def test_no_bar_where_nobody_asked_or_looks(terminal, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_TerminalBar", None)  # is not made
    monkeypatch.setattr(progress, "_NotebookBar", None)
    with progress_bar("generate", 8, show=False) as done:
        done(1)
        with progress_bar("decode", 8) as inner:  # quiet outside is quiet inside
            inner(1)
    monkeypatch.setattr(progress.sys, "stderr", io.StringIO())
    with progress_bar("generate", 8) as done:
        done(1)
    assert progress.sys.stderr.getvalue() == terminal.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_bars_do_not_pile_up(terminal):
    with progress_bar("generate", 8) as done:
        until(lambda: "generate" in terminal.getvalue())
        with progress_bar("decode", 8) as inner:
            inner(5)
            done(1)
    assert "decode" not in terminal.getvalue()
    with pytest.raises(KeyError), progress_bar("generate", 1):
        raise KeyError
    with progress_bar("decode", 8):  # the one before has gone
        until(lambda: "decode" in terminal.getvalue())


def test_batches_are_counted_along_their_axis(monkeypatch):
    seen = []

    class Bar:
        def __init__(self, *arguments):
            seen.append(arguments)

        start = stop = lambda self: None
        update = lambda self, done: seen.append(done)  # noqa: E731

    monkeypatch.setattr(progress, "_kind_of_bar", lambda: Bar)
    batches = [np.zeros((5, 2)), np.zeros((5, 1))]
    assert list(followed(batches, "generate", 3, axis=1)) == batches
    assert seen == [("generate", 3), 2, 3]


def test_a_notebook_has_one_bar_that_ends_as_a_line(monkeypatch):
    shown = []

    class Handle:
        def update(self, content, raw):
            shown.append(content)

    def display(content, raw, display_id):
        shown.append(content)
        return Handle()

    module = types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "SECONDS_BEFORE_SHOWN", 0.0)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_UPDATES", 0.0)
    with progress_bar("generate", 8) as done:
        until(lambda: shown)
        until(lambda: done(3) or len(shown) > 1)
    assert 'value="3" max="8"' in shown[1]["text/html"]
    assert shown[-1]["text/plain"].startswith("generate: 3/8, ") and len(shown[-1]) == 1
