"""Files and directories that are whole or not there: written beside their place, then renamed."""

import contextlib
import json
import os
import pathlib
import shutil
import uuid

from keras_bld.base import checks

_PARTIAL = "partial."


@contextlib.contextmanager
def replacing(path):
    """Yield the path of a new file that takes the place of `path` when the block succeeds.

    The new file lies in the same folder and its name ends as that of `path` does, so that a
    library that goes by the suffix writes the right format. Where the block raises, it is removed,
    and what stood at `path` stays as it was.

    Args:
        path: of the file; its folder exists.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "answer.txt"
    >>> with replacing(path) as new:
    ...     size = new.write_text("42")
    >>> path.read_text()
    '42'
    """
    path = pathlib.Path(path)
    # Of two processes that write the same file, the later one wins, with a whole file.
    new = path.with_name(f"{_PARTIAL}{os.getpid()}.{path.name}")
    try:
        yield new
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def write_text(path, text):
    """Write text as UTF-8, whole or not at all; the folder is made where it is missing."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path, content):
    """Write plain values as JSON, as `write_text` does."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def remove_leftovers(folder):
    """Remove what killed processes left in a folder on the way to a whole file."""
    for leftover in pathlib.Path(folder).glob(f"{_PARTIAL}*"):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def replace_directory(directory, marker, owned, argument="directory"):
    """Yield a new empty directory that takes the place of `directory` when the block succeeds.

    The new directory is written beside the old one and renamed at the end. Where the block raises,
    it is removed, and what stood at `directory` stays as it was. Entries of the old directory that
    are not `owned` (an evaluation card, a picture) move over to the new one.

    Args:
        directory: path; its parents are made where they are missing.
        marker: name of a file that shows that an old directory may be replaced.
        owned: names that belong to what is written and vanish with the old directory.
        argument: the caller's name for `directory`, for the error message.

    Raises:
        ValueError: `directory` is a file, or holds files but no `marker`.
    """
    target = pathlib.Path(directory).expanduser().resolve()
    _check_replaceable(target, marker, argument)
    target.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex[:8]
    new = target.with_name(f".{target.name}.{token}.partial")
    new.mkdir()
    try:
        yield new
        old = _set_aside(target, target.with_name(f".{target.name}.{token}.old"))
        try:
            os.rename(new, target)
        except OSError:
            if old is not None:
                os.rename(old, target)
            raise
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if old is not None:
        for entry in old.iterdir():
            if entry.name not in owned and not (target / entry.name).exists():
                os.rename(entry, target / entry.name)
        shutil.rmtree(old)


def _set_aside(target, old):
    if not target.exists():
        return None
    os.rename(target, old)
    return old


def _check_replaceable(target, marker, argument):
    if not target.exists():
        return
    if not target.is_dir():
        raise checks.error(argument, f"the file {target}", "a directory", "choose another path")
    if any(target.iterdir()) and not (target / marker).exists():
        raise checks.error(
            argument,
            f"{target}, which holds other files and no {marker}",
            f"a new or empty directory, or one with a {marker} to replace",
            "choose another path, or empty the directory yourself",
        )
