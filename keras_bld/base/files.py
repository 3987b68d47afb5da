"""Files and directories that are whole or not there: written beside their place, then renamed.

What is renamed is on the disk before, so that this holds for a power cut, too.

What is being written is hidden and its name says which process writes it: `.partial.OWNER.NAME` for
a file, `.NAME.OWNER.partial` for a directory, `.NAME.OWNER.old` for one that makes room. Where that
process was killed, the next one that writes in the same place cleans up.
"""

import contextlib
import errno
import glob
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import time
import uuid

from keras_bld.base import checks

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_OWNER = r"(?P<host>[0-9a-f]{8})-(?P<process>\d{1,10})-[0-9a-f]{8}"
_FILE = re.compile(rf"\.partial\.{_OWNER}\..+", re.DOTALL)
_DIRECTORY = re.compile(rf"{_OWNER}\.(?P<kind>partial|old)")
# A process of another machine cannot be asked whether it lives.
_SECONDS_OF_OTHERS = 24 * 3600
# What a disk says that takes nothing more.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NOT_HERE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
# What this process is writing, and the folders that it has looked through.
_being_written: set[pathlib.Path] = set()
_swept: set[pathlib.Path] = set()


class WriteError(OSError):
    """A place where nothing can be written."""


def user_path(path, argument="path"):
    """Return a path that somebody gave, as a `pathlib.Path`, with the home folder for `~`.

    Args:
        path: str or path-like; nothing need be there.
        argument: the caller's name for it, for the error message.

    Raises:
        ValueError: what no file can be called, links that lead in a circle, or the home folder of
            nobody.
    """
    try:
        expanded = pathlib.Path(path).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.stat(expanded)
    except (RuntimeError, ValueError, OSError) as reason:
        why = getattr(reason, "strerror", None) or checks.reason_of(reason)
        raise checks.error(
            argument, f"{checks.short(str(path))} ({why})", "a path", "check the path"
        ) from reason
    return expanded


@contextlib.contextmanager
def writing_to(path):
    """Within the block, errors of a full or read-only disk say what to do.

    Args:
        path: what is written there.

    Raises:
        WriteError: no room, or no permission to write.
    """
    try:
        yield
    except OSError as reason:
        is_ours = reason.errno in _NOT_HERE and _belongs(reason.filename, path)
        if isinstance(reason, WriteError) or not (is_ours or reason.errno in NO_ROOM):
            raise
        raise checks.error(
            "path",
            f"`{path}`, where nothing can be written ({os.strerror(reason.errno)})",
            "a folder that this program may write to, on a disk with room",
            "make room or change the permissions, or choose another folder; what was finished "
            "before stays",
            kind=WriteError,
        ) from reason


def _belongs(name, path):
    """Whether a file is `path`, or lies above or below it."""
    paths = [os.path.abspath(each) for each in (name or "", path)]
    return name is not None and os.path.commonpath(paths) in paths


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
    folder = os.path.abspath(path.parent)
    if folder not in _swept:
        remove_leftovers(folder)
        _swept.add(folder)
    # Of two processes that write the same file, the later one wins, with a whole file.
    new = path.with_name(f".partial.{_owner()}.{path.name}")
    with _marked(new), writing_to(path.parent):
        try:
            yield new
            flush_to_disk(new)
            os.replace(new, path)
            flush_to_disk(path.parent)
        finally:
            new.unlink(missing_ok=True)


def flush_to_disk(path):
    """Return when the disk has a file, or the names in a folder: a power cut leaves them whole.

    Renaming alone orders nothing: after a power cut the new name may lead to an empty file.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        if os.name != "posix":  # elsewhere a folder cannot be opened
            return
        handle = os.open(path, os.O_RDONLY)
    else:
        handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as reason:
        # Some file systems flush no folders; those of a full disk are for the caller.
        if reason.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(handle)


def write_text(path, text):
    """Write text as UTF-8, whole or not at all; the folder is made where it is missing."""
    path = pathlib.Path(path)
    with writing_to(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path, content):
    """Write plain values as JSON, as `write_text` does."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def remove_leftovers(folder):
    """Remove what killed processes left in a folder on the way to a whole file."""
    for path in pathlib.Path(folder).glob(".partial.*"):
        match = _FILE.fullmatch(path.name)
        if match and _is_left_over(path, match):
            path.unlink(missing_ok=True)


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
    target = user_path(directory, argument).resolve()
    _clean_up_beside(target, owned)
    _check_replaceable(target, marker, argument)
    with writing_to(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    owner = _owner()
    new = target.with_name(f".{target.name}.{owner}.partial")
    room = target.with_name(f".{target.name}.{owner}.old")
    with _marked(new), _marked(room), writing_to(target.parent):
        new.mkdir()
        try:
            yield new
            for entry in [*new.rglob("*"), new]:
                flush_to_disk(entry)
            old = _set_aside(target, room)
            try:
                os.rename(new, target)
                flush_to_disk(target.parent)
            except OSError:
                if old is not None:
                    os.rename(old, target)
                raise
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        if old is not None:
            _take_over(old, target, owned)


def _owner():
    return f"{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def _marked(path):
    """Mark a path as being written by this process, for other threads of it."""
    name = os.path.abspath(path)
    _being_written.add(name)
    try:
        yield
    finally:
        _being_written.discard(name)


def _is_left_over(path, match):
    """Whether nobody is writing `path` any more."""
    if match["host"] != _HOST:
        with contextlib.suppress(FileNotFoundError):
            return time.time() - path.lstat().st_mtime > _SECONDS_OF_OTHERS
        return False
    if int(match["process"]) == os.getpid():
        # The number may be that of a process before: in a container it is often the same.
        return os.path.abspath(path) not in _being_written
    return not _is_alive(int(match["process"]))


def _is_alive(process):
    if os.name != "posix":  # elsewhere signal 0 is no question
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _clean_up_beside(target, owned):
    """Finish, or undo, what a killed process was replacing at `target`."""
    for path in sorted(target.parent.glob(f".{glob.escape(target.name)}.*")):
        match = _DIRECTORY.fullmatch(path.name[len(target.name) + 2 :])
        if not match or not _is_left_over(path, match):
            continue
        if match["kind"] == "partial":
            shutil.rmtree(path, ignore_errors=True)
        elif target.exists():
            _take_over(path, target, owned)
        else:
            os.rename(path, target)


def _take_over(old, target, owned):
    """Move what is not `owned` from the old directory to the new one, and remove the old."""
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
