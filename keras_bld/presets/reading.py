"""What the files of a preset say, read without Keras."""

import hashlib

from keras_bld.base import checks
from keras_bld.base.json_files import read_json
from keras_bld.presets.fields import (
    CONFIG,
    FILES,
    FREE_FIELDS,
    METADATA,
    OWN_FIELDS,
    SERIALISED,
    WEIGHTS,
)
from keras_bld.presets.locate import MissingFileError, find_preset


def read_metadata(preset):
    """Return the metadata of a preset as a dictionary.

    Args:
        preset: as for `load_preset`.

    Raises:
        ValueError: no such preset, or a damaged metadata.json.
    """
    path = find_preset(preset, METADATA) / METADATA
    return _read_json(path, OWN_FIELDS, FREE_FIELDS)


def read_config(directory):
    """Return the serialised model of a preset's directory, unchecked.

    Raises:
        ValueError: a damaged config.json.
    """
    return _read_json(directory / CONFIG, {"model": SERIALISED})["model"]


def check_files(directory, metadata, contents=True):
    """Raise ValueError unless config and weights are there as the metadata says.

    Args:
        directory: of the preset.
        metadata: of `read_metadata`.
        contents: False compares sizes alone, which costs nothing.
    """
    for name in (CONFIG, WEIGHTS):
        _verify(directory / name, metadata["files"][name], contents)


def _verify(path, wanted, contents):
    if not path.is_file():
        raise checks.error(
            "preset",
            f"{path.parent} without {path.name}",
            f"the files {', '.join(FILES)}",
            "copy or save the preset again",
            kind=MissingFileError,
        )
    size = path.stat().st_size
    if size != wanted["bytes"]:
        raise damaged(path, f"{size:,} bytes where metadata.json says {wanted['bytes']:,}")
    if contents and fingerprint_of(path)["sha256"] != wanted["sha256"]:
        raise damaged(path, "a sha256 that differs from the one in metadata.json")


def fingerprint_of(path):
    """Size and sha256 of a file, as metadata.json has them."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _read_json(path, required, optional=None):
    return read_json(path, path.name, *_what_it_should_be(path), required, optional)


def damaged(path, received):
    """The error for a file of a preset that is not as it was written."""
    return checks.error(path.name, received, *_what_it_should_be(path))


def _what_it_should_be(path):
    return (
        f"the file that save_preset wrote to {path.parent}",
        "it was truncated or altered: copy or save the preset again",
    )
