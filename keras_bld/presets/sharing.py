"""Presets that have the autoencoder of another preset in their folder, and no copy of it."""

import contextlib

from keras_bld.base import checks
from keras_bld.presets.fields import METADATA, NAME, SHARED_PART, WEIGHTS
from keras_bld.presets.locate import MissingFileError
from keras_bld.presets.reading import (
    beside,
    check_files,
    damaged,
    file_of_sibling,
    read_metadata,
    sibling_of,
)
from keras_bld.presets.weights_file import inspect_weights, leave_out, part_digest, with_part_of

_ARGUMENT = "shares_autoencoder_with"


def digest_to_share(directory, name):
    """Return the hash of the autoencoder that a preset is going to share.

    Args:
        directory: of the preset that will be written.
        name: of the other preset, in the same folder.

    Raises:
        ValueError: a path in place of a name, the preset itself, no such preset beside it (also a
            FileNotFoundError), a damaged one, or one without an autoencoder of its own.
    """
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise checks.error(
            _ARGUMENT,
            checks.short(name),
            "the name of a preset in the same folder: letters, digits, _, - and . alone",
            "copy that preset into the folder of this one, and pass its name",
        )
    there = beside(directory, name)
    if there == directory.resolve():
        raise checks.error(
            _ARGUMENT, f"{name!r}, the preset itself", "another preset", "leave it out"
        )
    if not (there / METADATA).is_file():
        raise checks.error(
            _ARGUMENT,
            f"{name!r}, and no preset at {there}",
            "the name of a preset in the same folder",
            "copy that preset into the folder of this one",
            kind=MissingFileError,
        )
    check_files(there, read_metadata(there))
    inspect_weights(there / WEIGHTS)
    digest = part_digest(there / WEIGHTS, SHARED_PART)
    if digest is None:
        raise checks.error(
            _ARGUMENT,
            f"{name!r}, whose {WEIGHTS} has no autoencoder beside a denoiser",
            "a BinaryLatentDiffusion that does not share one itself",
            "name the preset that it has its autoencoder from, or leave it out",
        )
    return digest


def take_out_shared(path, name, digest):
    """Write a file of weights anew without the autoencoder, which is that of another preset.

    Args:
        path: of the file.
        name: of the other preset.
        digest: of `digest_to_share`.

    Returns:
        What `files` in metadata.json says of the shared part, as a dictionary.

    Raises:
        ValueError: a model without an autoencoder, or with another one.
    """
    own = part_digest(path, SHARED_PART)
    if own != digest:
        received = "a model without one" if own is None else "a model with another one"
        raise checks.error(
            _ARGUMENT,
            f"{name!r} for {received}",
            "a model whose autoencoder has the very weights of that preset, as they are stored",
            "save it with an autoencoder of its own (leave this out), in the dtype of that preset"
            " and without training parts where that has none, or publish it: `keras-bld publish`"
            " takes a decoder that was trained on from there",
        )
    leave_out(path, SHARED_PART)
    return {file_of_sibling(name): {"part": SHARED_PART, "sha256": digest}}


def all_weights(directory, metadata):
    """Return a context manager that yields the path of a file with all weights of a preset.

    Args:
        directory: of the preset, whose files were checked.
        metadata: of `read_metadata`.

    Raises:
        ValueError: another autoencoder than the preset was saved with, or damaged files.
    """
    own, name = directory / WEIGHTS, sibling_of(metadata)
    if name is None:
        return contextlib.nullcontext(own)
    other = beside(directory, name) / WEIGHTS
    for path in (own, other):
        inspect_weights(path)
    if part_digest(own, SHARED_PART) is not None:
        raise damaged(own, f"an autoencoder of its own beside that of {name}")
    if part_digest(other, SHARED_PART) != metadata["files"][file_of_sibling(name)]["sha256"]:
        raise checks.error(
            "preset",
            f"{directory.name}, whose autoencoder is that of {name}, and another one in {other}",
            f"the autoencoder that {name} had when {directory.name} was saved",
            f"take the earlier {name}, or publish {directory.name} again from a copy with an"
            " autoencoder of its own",
        )
    return with_part_of(own, SHARED_PART, other)
