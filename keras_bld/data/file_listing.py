"""File listing: the images below a folder, and what is passed over, with the reason."""

import collections
import dataclasses
import errno
import os
import re
import stat

from keras_bld.base import checks
from keras_bld.base.checks import quoted
from keras_bld.data.images import image_suffixes

# What systems put beside people's files; hidden ones are passed over anyway.
_SYSTEM_FOLDERS = (
    "@eaDir",
    "__MACOSX",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
)
# What a killed program left of a file that it was writing (keras_bld.base.files).
_LEFTOVER = re.compile(r"partial\.[0-9]+\..")
# Files that go with images and are none; not worth a word.
_COMPANION_SUFFIXES = frozenset(
    ".csv .tsv .txt .json .jsonl .ndjson .xml .yaml .yml .toml .ini .md .rst .html .htm .log .url "
    ".pdf .db .parquet .py .ipynb .sh .sha256 .md5".split()
)
_COMPANION_NAMES = frozenset(
    "readme license licence copying notice authors changelog citation manifest".split()
)
# Folders that link to each other have paths without end in sight; no data set needs so many.
_MOST_PATHS_TO_A_FOLDER = 1000
_MOST_KINDS_SAID = 8


@dataclasses.dataclass
class FileListing:
    """What lies below a folder.

    Attributes:
        files: {path relative to the folder, with forward slashes: (size in bytes, time of the
            last change in ns)}, sorted by path; zeros for a link that leads nowhere.
        passed_over: Counter of what is no image by its name or kind, in words.
        unreadable_folders: list of (path, reason) of folders that may not be listed.
        identities: {path: which file it leads to}; links to one file have one identity. Without
            paths that lead nowhere, or where the system does not say.
    """

    files: dict
    passed_over: collections.Counter
    unreadable_folders: list
    identities: dict

    def describe_passed_over(self):
        """Return what was passed over as a text such as "3 .heic, 1 named pipe"; "" for nothing."""
        kinds = [f"{count:,} {kind}" for kind, count in self.passed_over.most_common()]
        if len(kinds) > _MOST_KINDS_SAID:
            kinds[_MOST_KINDS_SAID:] = [f"{len(kinds) - _MOST_KINDS_SAID} more kinds"]
        return ", ".join(kinds)


def list_images(root):
    """List the image files below a folder, by the suffixes that the installed Pillow reads.

    Links are followed, also several to one folder, but not back to a folder that the path leads
    through already. Hidden files and folders, and what killed writers left, are no images;
    neither are named pipes, sockets and devices, whatever they are called.

    Args:
        root: `pathlib.Path`.

    Returns:
        A `FileListing`, perhaps without files.

    Raises:
        ValueError: no such folder, or links that multiply the paths to a folder.
    """
    if not root.is_dir():
        raise checks.error(
            "root", quoted(root), "a folder with images", "check the path (--data-dir)"
        )
    suffixes = frozenset(image_suffixes())
    listing = FileListing({}, collections.Counter(), [], {})
    num_paths = collections.Counter()
    waiting = [("", frozenset())]
    while waiting:
        folder, above = waiting.pop()
        try:
            here = _identity(root / folder)
            if here in above:
                continue  # a link that leads back up
            with os.scandir(root / folder) as entries:
                entries = list(entries)
        except OSError as error:
            if not folder:
                raise
            listing.unreadable_folders.append((folder, error.strerror or str(error)))
            continue
        num_paths[here] += 1
        if num_paths[here] > _MOST_PATHS_TO_A_FOLDER:
            raise checks.error(
                "root",
                f"{quoted(root)}, with more than {_MOST_PATHS_TO_A_FOLDER} paths to one folder, "
                f"such as {quoted(folder)}",
                "folders that do not link to each other",
                "remove the links between the folders",
            )
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _SYSTEM_FOLDERS:
                continue
            path = folder + entry.name
            if _is_folder(entry):
                waiting.append((path + "/", above | {here}))
            else:
                _add_file(listing, entry, path, suffixes)
    listing.files = dict(sorted(listing.files.items()))
    listing.unreadable_folders.sort()
    return listing


def _add_file(listing, entry, path, suffixes):
    suffix = os.path.splitext(entry.name)[1].lower()
    if _LEFTOVER.match(entry.name):
        listing.passed_over["left by an interrupted program (partial.*)"] += 1
    elif suffix not in suffixes:
        if suffix not in _COMPANION_SUFFIXES and entry.name.lower() not in _COMPANION_NAMES:
            kind = checks.printable(suffix) if suffix else "without a suffix"
            listing.passed_over[kind] += 1
    else:
        try:
            state = entry.stat()
        except OSError:
            # A link that leads nowhere, or in a circle; reading it says so.
            listing.files[path] = (0, 0)
            return
        if stat.S_ISREG(state.st_mode):
            listing.files[path] = (state.st_size, state.st_mtime_ns)
            if state.st_ino:
                listing.identities[path] = (state.st_dev << 64) + state.st_ino
        else:
            listing.passed_over["named pipe, socket or device"] += 1


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise


def _identity(folder):
    state = os.stat(folder)
    return (state.st_dev, state.st_ino)
