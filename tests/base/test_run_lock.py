import contextlib
import json
import os
import time

import pytest

from keras_bld.base.run_lock import LOCK_FILE, only_run_in

pytestmark = pytest.mark.once


@contextlib.contextmanager
def forked(work):
    """A process that does `work` and then sleeps, until the block ends; yields its number."""
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        with work():
            os.write(done, b"x")
            time.sleep(60)
        os._exit(0)
    try:
        os.read(ready, 1)
        yield child
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(done)


def test_another_process_is_named_and_its_end_frees_the_folder(tmp_path):
    with forked(lambda: only_run_in(tmp_path)) as other:
        message = f"{tmp_path}, in which process {other} of .* since 20.*Fix: wait until that"
        with pytest.raises(ValueError, match=message), only_run_in(tmp_path):
            pass
    with only_run_in(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["process"] == os.getpid()


def test_one_process_cannot_run_twice_in_a_folder_at_once(tmp_path):
    with only_run_in(tmp_path / "new"), pytest.raises(ValueError, match="in which process"):
        with only_run_in(tmp_path / "new"):
            pass
    with only_run_in(tmp_path / "new"):
        pass


def test_a_forked_process_that_outlives_the_run_does_not_hold_the_folder(tmp_path):
    with contextlib.ExitStack() as child:
        with only_run_in(tmp_path):
            child.enter_context(forked(contextlib.nullcontext))
        with only_run_in(tmp_path):
            pass


def test_a_folder_without_locks_is_warned_of(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with only_run_in(tmp_path):
        pass
    assert f"WARNING: no lock on {tmp_path} (Operation not supported)" in capsys.readouterr().out


def test_a_place_where_nothing_can_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="where nothing can be written"):
        with only_run_in(tmp_path / "file" / "run"):
            pass
