"""Files that are whole or not there: written beside their place, then renamed."""

import contextlib
import json
import os
import pathlib

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
