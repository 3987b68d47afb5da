"""A program: all that the service needs of a preset, as a directory that is whole or not there.

OpenVINO's graphs of the three networks, a table of arrays, and `program.json`. Writing one takes
Keras (`program_writer.py`, in a process of its own); reading one takes neither Keras nor a backend.
"""

import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from keras_bld.base import checks
from keras_bld.base.files import user_path
from keras_bld.base.json_files import (
    RECORD,
    TEXT,
    exactly,
    list_of,
    none_or,
    number,
    read_json,
    whole,
)
from keras_bld.presets.locate import find_preset
from keras_bld.presets.reading import check_files, fingerprint_of, read_metadata

FORMAT = 1
MARKER = "program.json"
ARRAYS = "arrays.npz"
PARTS = ("denoiser", "decoder", "encoder")
FILES = (MARKER, ARRAYS, *(f"{part}.{end}" for part in PARTS for end in ("xml", "bin")))
# Where programs are kept, in place of ~/.cache/keras_bld/programs.
ENVIRONMENT_VARIABLE = "KERAS_BLD_CACHE"
_FIELDS = {
    "format": exactly(FORMAT),
    "preset": TEXT,
    "files": RECORD,
    "contents": RECORD,
    "image_shape": list_of(whole(1), 3),
    "code_shape": list_of(whole(1), 3),
    "num_tokens": whole(1),
    "signal_levels": list_of(number(0)),
    "target": TEXT,
    "sampling": RECORD,
    "condition": none_or(TEXT),
    "num_classes": none_or(whole(1)),
    "class_names": none_or(list_of(TEXT)),
    "text_encoder": none_or(TEXT),
    "about": RECORD,
}


@dataclass(frozen=True, eq=False)
class Program:
    """A program that was read and is as it was written.

    Attributes:
        directory: where it lies.
        description: what `program.json` says.
    """

    directory: pathlib.Path
    description: dict

    @property
    def num_training_steps(self):
        """T."""
        return len(self.description["signal_levels"]) - 1

    def arrays(self):
        """Name -> float32 array of what stands beside the graphs."""
        with np.load(self.directory / ARRAYS, allow_pickle=False) as file:
            return dict(file)


def read_program(directory):
    """Return the `Program` in a directory.

    Raises:
        ValueError: files that are missing, or not as they were written.
    """
    directory = pathlib.Path(directory)
    expected = f"the program that `keras-bld serve` wrote to {directory}"
    fix = "delete the directory; the service writes it again from the preset"
    path = directory / MARKER
    try:
        description = read_json(path, MARKER, expected, fix, _FIELDS)
        for name in FILES[1:]:
            if description["contents"].get(name) != fingerprint_of(directory / name):
                raise checks.error(name, f"`{directory / name}`, altered", expected, fix)
    except OSError as reason:
        raise checks.error("program", checks.reason_of(reason), expected, fix) from reason
    return Program(directory, description)


def is_program(directory):
    """Whether a path is a directory that holds a program."""
    return (pathlib.Path(directory) / MARKER).is_file()


def program_of(preset, say=None, decoder="full"):
    """Return the `Program` of a preset; the first call for a preset writes it to the cache.

    Args:
        preset: name or directory of a preset, or the directory of a program.
        say: callable of a line, called before something that takes seconds.
        decoder: "full", or "small" for presets that have a small one; a program has the one that it
            was written with.

    Raises:
        ValueError: no such preset, one that cannot be served, or a damaged program.
    """
    if is_program(user_path(preset, "preset")):
        return read_program(user_path(preset, "preset"))
    directory = find_preset(preset)
    metadata = read_metadata(directory)
    check_files(directory, metadata, contents=False)
    cached = _cached(directory, metadata, decoder)
    if is_program(cached):
        try:
            return read_program(cached)
        except ValueError as damage:
            if say is not None:
                say(str(damage))
    if say is not None:
        say(f"writing the program of {preset} to {cached} (once)")
    write_program(directory, cached, decoder)
    return read_program(cached)


def write_program(preset, directory, decoder="full"):
    """Write the program of a preset, in a process that imports Keras.

    Args:
        preset: name or directory.
        directory: of the program; an older one there is replaced.
        decoder: "full", or "small" for presets that have a small one.

    Raises:
        ValueError: the preset cannot be served; the message is the writer's.
    """
    writer = "keras_bld.serving.service.program_writer"
    finished = subprocess.run(
        [sys.executable, "-m", writer, str(preset), str(directory), decoder],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or ["the writer ended without a word"]
        raise ValueError(lines[-1].removeprefix("error: "))


def environment():
    """Variables for processes of the service: this very library is the one that they import."""
    here = str(pathlib.Path(__file__).parents[3])
    path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def _cached(directory, metadata, decoder):
    """Where the cache has the program of a preset: the name says what it was made from."""
    fingerprints = sorted(each["sha256"][:12] for each in metadata["files"].values())
    folder = os.environ.get(ENVIRONMENT_VARIABLE)
    if not folder:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = pathlib.Path(home) / "keras_bld" / "programs"
    made_with = [] if decoder == "full" else [decoder]
    name = "-".join([directory.name, *fingerprints, *made_with, str(FORMAT)])
    return user_path(folder, ENVIRONMENT_VARIABLE) / name
