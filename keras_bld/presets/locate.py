"""Places of presets: names that come with weights, and directories."""

import difflib
import os
import pathlib

from keras_bld.base import checks
from keras_bld.base.files import user_path

# Directories of more presets, separated as in $PATH.
ENVIRONMENT_VARIABLE = "KERAS_BLD_PRESETS"
_MARKER = "metadata.json"
# What other rooms have added; the user's directories go before these.
FOLDERS: list[pathlib.Path] = []
ARCHITECTURES: list[str] = []


class MissingFileError(FileNotFoundError, ValueError):
    """A preset, or a file of one, that is not there."""


def add_folder(folder):
    """Let names be looked for in a directory of presets."""
    if folder not in FOLDERS:
        FOLDERS.append(folder)


def add_architectures(names):
    """Let the message for an unknown name know these, which have no weights."""
    ARCHITECTURES.extend(name for name in names if name not in ARCHITECTURES)


def named_presets():
    """Return name -> directory of the presets with weights: shipped ones, and the user's.

    A user's preset stands in a directory that the environment variable KERAS_BLD_PRESETS lists,
    and goes before a shipped one of the same name.
    """
    folders = list(FOLDERS)
    listed = os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep)
    folders += [user_path(folder, ENVIRONMENT_VARIABLE) for folder in reversed(listed) if folder]
    found = {}
    for folder in folders:
        directories = [path.parent for path in sorted(folder.glob(f"*/{_MARKER}"))]
        # Hidden is what is being written.
        found |= {path.name: path for path in directories if not path.name.startswith(".")}
    return found


def find_preset(preset, marker=_MARKER):
    """Return the directory of a preset.

    Args:
        preset: name or path.
        marker: file that a directory must hold to count as a preset.

    Raises:
        ValueError: no such preset (also a FileNotFoundError); the message lists similar names.
    """
    found = named_presets()
    if isinstance(preset, str) and preset in found:
        return found[preset]
    directory = user_path(preset, "preset")
    if (directory / marker).is_file():
        return directory
    if directory.exists():
        raise checks.error(
            "preset",
            f"{directory}, which holds no {marker}",
            "a directory that save_preset wrote",
            "save the preset again, or pass the directory itself",
            kind=MissingFileError,
        )
    raise _unknown(str(preset), found)


def _unknown(name, found):
    if name in ARCHITECTURES:
        return checks.error(
            "preset",
            f"{name!r}, an architecture without weights",
            _listed("a preset with weights", found),
            f"keras_bld.zoo.build({name!r}) builds it untrained; train it with its recipe, or"
            " convert the published checkpoint with `keras-bld convert`",
            kind=MissingFileError,
        )
    known = [*found, *(each for each in ARCHITECTURES if each not in found)]
    similar = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, similar))}? " if similar else ""
    return checks.error(
        "preset",
        f"{name!r}, neither a known name nor a directory",
        _listed("a preset with weights", found) + " or a directory that save_preset wrote",
        f"{hint}`keras-bld presets` lists all names",
        kind=MissingFileError,
    )


def _listed(what, names):
    return f"{what} ({', '.join(sorted(names)) or 'none is installed'})"
