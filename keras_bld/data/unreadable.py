"""The files of a folder that cannot be read: found by reading all, and remembered in a list."""

import concurrent.futures
import logging
import os
import pathlib

import PIL
from PIL import Image

from keras_bld.base import checks
from keras_bld.base.files import write_text
from keras_bld.data.images import UnreadableImageError
from keras_bld.data.preprocessing import fingerprint

UNREADABLE_LIST = "unreadable_images.txt"


def find_unreadable(root, listing, preprocessing, work_dir):
    """Read every file once and return those that cannot be read; remember the answer.

    Args:
        root: `pathlib.Path` of the folder.
        listing: its `FileListing`.
        preprocessing: `ImagePreprocessing`, which reads.
        work_dir: folder of the list, or None to keep none.

    Returns:
        List of (path, reason).
    """
    # What decides whether a file can be read: its content, the reader, and the reader's limit.
    state = [
        str(root.resolve()),
        {path: list(file_state) for path, file_state in listing.files.items()},
        PIL.__version__,
        Image.MAX_IMAGE_PIXELS,
    ]
    first_line = f"# state of the files: {fingerprint(state)}"
    list_file = None if work_dir is None else pathlib.Path(work_dir) / UNREADABLE_LIST
    unreadable = _remembered(list_file, first_line, listing.files)
    if unreadable is not None:
        return unreadable

    def reason(path):
        try:
            preprocessing(root / path)
        except (UnreadableImageError, OSError) as error:
            return checks.printable(str(error.__cause__ or error))
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = zip(listing.files, pool.map(reason, listing.files), strict=True)
        unreadable = [(path, why) for path, why in reasons if why is not None]
    count = f"{len(unreadable)} of {len(listing.files)} images cannot be read and are left out"
    if unreadable:
        logging.getLogger("keras_bld").warning("%s: %s", checks.printable(str(root)), count)
    if list_file is not None:
        lines = [first_line, f"# {count}"]
        lines += [f"{_to_line(path)}\t{why}" for path, why in unreadable]
        write_text(list_file, "\n".join(lines) + "\n")
    return unreadable


def _remembered(list_file, first_line, files):
    """Return what the list says, or None where it says nothing of these files."""
    if list_file is None or not list_file.is_file():
        return None
    try:
        lines = list_file.read_text(encoding="utf-8").rstrip("\n").split("\n")
        if lines[0] != first_line:
            return None
        pairs = [line.split("\t", 1) for line in lines[1:] if not line.startswith("#")]
        unreadable = [(_from_line(path), why) for path, why in pairs]
    except ValueError:  # not UTF-8, or not lines as `find_unreadable` writes them
        return None
    return unreadable if all(path in files for path, _ in unreadable) else None


def _to_line(path):
    """Return a path as a line that holds no tab and does not begin like a comment."""
    line = "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape").decode()
        for character in path
    )
    return "\\x23" + line[1:] if line.startswith("#") else line


def _from_line(line):
    return line.encode("latin-1", "backslashreplace").decode("unicode_escape")
