"""Write a directory so that it is never seen half-written."""

import contextlib
import os
import pathlib
import shutil
import uuid

from keras_bld import checks


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
