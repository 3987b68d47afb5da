"""What the files of a preset say, read without Keras."""

import hashlib

from keras_bld.base import checks
from keras_bld.base.json_files import check_fields, read_json
from keras_bld.presets.fields import (
    CONFIG,
    FILES,
    FREE_FIELDS,
    METADATA,
    NAME,
    OWN_FIELDS,
    SERIALISED,
    SHARED,
    WEIGHTS,
)
from keras_bld.presets.locate import MissingFileError, find_preset


def read_metadata(preset):
    """Return the metadata of a preset as a dictionary.

    Args:
        preset: as for `load_preset`.

    Raises:
        ValueError: no such preset, a damaged metadata.json, or one that names files elsewhere.
    """
    path = find_preset(preset, METADATA) / METADATA
    metadata = _read_json(path, OWN_FIELDS, FREE_FIELDS)
    _check_shared(path, metadata["files"])
    return metadata


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
    sibling = sibling_of(metadata)
    if sibling is not None:
        there = beside(directory, sibling)
        if not (there / METADATA).is_file():
            raise checks.error(
                "preset",
                f"{directory.name}, whose autoencoder is that of {sibling}, which is not there",
                f"the preset {sibling} in the same folder, {there.parent}",
                "copy the two presets together; where both are, `keras-bld publish` makes a copy"
                " with an autoencoder of its own",
                kind=MissingFileError,
            )
        _verify(there / WEIGHTS, read_metadata(there)["files"][WEIGHTS], contents)


def sibling_of(metadata):
    """The name of the preset whose autoencoder a preset has, or None.

    Args:
        metadata: of `read_metadata`.
    """
    others = [name for name in metadata["files"] if name not in (CONFIG, WEIGHTS)]
    return others[0].split("/")[1] if others else None


def file_of_sibling(name):
    """How metadata.json calls the weights of the preset `name` in the same folder."""
    return f"../{name}/{WEIGHTS}"


def beside(directory, name):
    """The directory of the preset `name` in the folder that a preset lies in."""
    return directory.resolve().parent / name


def _check_shared(path, files):
    """Of another preset a metadata.json may name one file, and only one that lies beside it."""
    others = {name: record for name, record in files.items() if name not in (CONFIG, WEIGHTS)}
    for name, record in others.items():
        of = name.removeprefix("../").removesuffix(f"/{WEIGHTS}")
        is_beside = NAME.fullmatch(of) and name == file_of_sibling(of)
        is_record = isinstance(record, dict) and check_fields(record, SHARED) is None
        if not (is_beside and is_record and len(others) == 1):
            raise checks.error(
                METADATA,
                f"`{path}`: in `files` {checks.short(name)}",
                f"{CONFIG}, {WEIGHTS}, and at most one {file_of_sibling('NAME')} with the sha256"
                " of the autoencoder there",
                "use a preset from a source that you trust; a preset that shares has the other one"
                " in the same folder",
            )


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
