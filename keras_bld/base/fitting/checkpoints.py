"""The checkpoints of one training: files whole or not there, each with checksums, the last kept.

A checkpoint is a zip archive: `record.json` says which arrays there are and where the training was,
and `0`, `1`, ... are their bytes. Every member has a CRC-32, so that a damaged one is noticed.
"""

import dataclasses
import json
import pathlib
import re
import zipfile

import numpy as np

from keras_bld.base import checks
from keras_bld.base.files import remove_leftovers, replacing, writing_to
from keras_bld.base.json_files import RECORD, Kind, check_fields, parse_json, whole
from keras_bld.base.runs import say
from keras_bld.base.zip_files import open_archive

_ENDING = ".checkpoint.zip"
_ENDING_BEFORE = ".checkpoint.weights.h5"  # before checkpoints held all of a training's state
_NUMBERED = re.compile(rf"(\d{{9,15}}){re.escape(_ENDING)}", re.ASCII)
_RECORD = "record.json"
_LIST = Kind("a list", lambda value: isinstance(value, list))


@dataclasses.dataclass(frozen=True)
class CheckpointPolicy:
    """When checkpoints are written, and which of them stay.

    Attributes:
        keep: how many of the newest stay.
        keep_every: the checkpoint of every so many epochs stays for good; 0 for none.
        minutes: one is written after so many minutes within an epoch, too; 0 at the ends of
            epochs alone.
    """

    keep: int = 2
    keep_every: int = 0
    minutes: float = 15.0

    def __post_init__(self):
        checks.check_integer("keep_checkpoints", self.keep, 1)
        checks.check_integer("keep_checkpoint_every", self.keep_every, 0)
        checks.check_number("checkpoint_minutes", self.minutes, 0.0)


class Checkpoints:
    """The checkpoints in a folder, by the number of training steps that each has behind it.

    Args:
        folder: path; made at the first `write`.
        keep: how many of the newest stay.
        keep_every: those of every so many steps stay for good; 0 for none.
    """

    def __init__(self, folder, keep=2, keep_every=0):
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self.keep_every = keep_every

    def steps(self):
        """Numbers of the checkpoints that are there, in order."""
        matches = (_NUMBERED.fullmatch(path.name) for path in self.folder.glob(f"*{_ENDING}"))
        return sorted(int(match[1]) for match in matches if match)

    def path(self, step):
        """Where the checkpoint of a step lies."""
        return self.folder / f"{step:09d}{_ENDING}"

    def write(self, step, arrays, position):
        """Write a checkpoint, then remove those that need not stay.

        Args:
            step: how many training steps are done.
            arrays: list of pairs (name, NumPy array); names need not differ.
            position: dictionary of plain values: what else continues the training.

        Raises:
            WriteError: no room, or no permission; what was there before stays.
        """
        with writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        described = [_described(name, array) for name, array in arrays]
        record = {"step": step, "arrays": described, "position": position}
        with replacing(self.path(step)) as new, zipfile.ZipFile(new, "w") as archive:
            archive.writestr(_RECORD, json.dumps(record))
            for number, (_, array) in enumerate(arrays):
                with archive.open(str(number), "w", force_zip64=True) as file:
                    file.write(_bytes_of(array))
        steps = self.steps()
        for old in steps[: -self.keep]:
            if not (self.keep_every and old and old % self.keep_every == 0):
                self.path(old).unlink(missing_ok=True)

    def newest(self, expected):
        """The newest checkpoint that is whole; of each damaged one a line says so.

        Args:
            expected: list of pairs (name, array-like with shape and dtype): what it is to hold.

        Returns:
            (step, arrays, position), or None where there is no checkpoint; a line says so where
            there are those of an earlier version of the library.

        Raises:
            ValueError: there are checkpoints, and all of them are damaged or of another training.
        """
        remove_leftovers(self.folder)
        expected = [_described(name, array) for name, array in expected]
        damaged = []
        for step in reversed(self.steps()):
            path = self.path(step)
            try:
                with checks.as_error(_Damaged):
                    found = step, *_read(path, step, expected)
            except _Damaged as reason:
                damaged.append((path, reason))
                continue
            for path, why in damaged:
                # Out of the way: it would count as the newest when old ones are removed.
                path.rename(path.with_name(f"{path.name}.damaged"))
                say(f"WARNING: {path} is damaged ({why}); going on from the one before it")
            return found
        if damaged:
            path, why = damaged[0]
            raise checks.error(
                "work_dir",
                f"`{path}`: {why}",
                "a checkpoint as this run wrote it",
                f"delete the folder {path.parent} and run the same command again; this training "
                "begins at its first step",
            )
        earlier = len(list(self.folder.glob(f"*{_ENDING_BEFORE}")))
        if earlier:
            say(
                f"note: {self.folder} holds {earlier} checkpoint(s) of an earlier version "
                f"(*{_ENDING_BEFORE}), which are not read: training begins at its first step"
            )
        return None


class _Damaged(Exception):
    """Why a checkpoint cannot be gone on from."""


def _read(path, step, expected):
    """Arrays and position of a checkpoint; raises whatever comes where it is damaged."""
    with open(path, "rb") as file, open_archive(file) as archive:
        record = parse_json(archive.read(_RECORD))
        wrong = check_fields(record, {"step": whole(), "arrays": _LIST, "position": RECORD})
        if wrong or record["step"] != step:
            raise ValueError(wrong or f"it is of step {record['step']}")
        _compare(record["arrays"], expected)
        arrays = []
        for number, (name, dtype, shape) in enumerate(expected):
            content = archive.read(str(number))
            array = np.frombuffer(content, dtype).reshape(shape)
            if checks.is_floating(array) and not np.isfinite(array.astype("float32")).all():
                raise ValueError(f"NaN or infinity in `{name}`")
            arrays.append(array)
    return arrays, record["position"]


def _compare(found, expected):
    if len(found) != len(expected):
        raise ValueError(f"it holds {len(found)} arrays, this training has {len(expected)}")
    for one, other in zip(found, expected, strict=True):
        if one[1:] != other[1:]:
            raise ValueError(f"`{one[0]}` is {one[1:]}, this training has `{other[0]}` {other[1:]}")


def _described(name, array):
    return [name, str(np.dtype(str(array.dtype))), [int(size) for size in array.shape]]


def _bytes_of(array):
    """The bytes of an array as they lie, without a copy."""
    return memoryview(np.ascontiguousarray(array).reshape(-1).view("uint8"))
