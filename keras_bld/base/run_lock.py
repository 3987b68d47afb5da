"""One process at a time in the folder of a run: a lock that dies with the process."""

import contextlib
import datetime
import json
import os
import pathlib
import platform

from keras_bld.base import checks
from keras_bld.base.files import writing_to
from keras_bld.base.runs import option, say

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".lock"
_held: set[int] = set()


@contextlib.contextmanager
def only_run_in(folder):
    """Within the block no other process runs in `folder`; the folder is made where it is missing.

    The lock is the system's on a file of the folder (flock): it ends when the process does, however
    that happens. Where the file system has no locks, a line says so.

    Raises:
        ValueError: another process holds it; the message names it.
        WriteError: nothing can be written there.
    """
    folder = pathlib.Path(folder)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    _held.add(handle)
    try:
        _lock(handle, folder)
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def _lock(handle, folder):
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as reason:
        raise checks.error(
            "work_dir",
            f"{folder}, in which {_holder(handle)} runs",
            "a folder in which nothing else runs",
            f"wait until that process ends, or stop it, or pass {option('work_dir', 'ANOTHER')}",
        ) from reason
    except OSError as reason:
        say(f"WARNING: no lock on {folder} ({reason.strerror}); start nothing else in it")
        return
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    holder = {"process": os.getpid(), "host": platform.node(), "since": now}
    with writing_to(folder):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder).encode(), 0)


def _holder(handle):
    """Who wrote the file, in words."""
    try:
        there = json.loads(os.pread(handle, 1000, 0))
        return "process {process} of {host} since {since}".format(**there)
    except (ValueError, KeyError, TypeError):
        return "another process"


def _forget_in_child():
    # A lock lives as long as any process has its file open: a forked worker that outlives a killed
    # run would keep the folder closed.
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
