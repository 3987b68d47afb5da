"""Bulk work for workers of Ray, which import it by this name; a worker that dies of it; no Ray."""

import dataclasses
import os
import pathlib
import pickle
import signal
from typing import Any

import numpy as np

from keras_bld.base.ray_engine import cut

BATCH_SIZE = 4


def squares(start, stop):
    """The squares of these rows, in batches."""
    for first in range(start, stop, BATCH_SIZE):
        yield np.arange(first, min(first + BATCH_SIZE, stop)) ** 2


def refuses(start, stop):
    """Work that cannot be done."""
    raise ValueError(f"row {start} cannot be read")


@dataclasses.dataclass
class KillsItsWorker:
    """The work of `function`; whoever begins the piece with this row dies, so many times.

    Args:
        function: the work.
        row: of the deadly piece.
        marks: folder that counts deaths.
        deaths: how many.
    """

    function: Any
    row: int
    marks: str
    deaths: int = 1

    def __call__(self, start, stop):
        if start <= self.row < stop:
            marks = pathlib.Path(self.marks)
            number = len(list(marks.iterdir()))
            if number < self.deaths:
                (marks / f"{number}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        yield from self.function(start, stop)


def pickled_in_pieces(function, ranges, batch_size=1):
    """An engine that does here what Ray does: work is pickled, and each piece unpickles it."""
    sent = pickle.dumps(function)
    for start, stop in cut(ranges, batch_size, num_workers=2):
        yield from pickle.loads(pickle.dumps(list(pickle.loads(sent)(start, stop))))


def deadly(engine, row, marks, deaths=1):
    """An engine whose work is `KillsItsWorker`."""

    def run(function, ranges, batch_size=1):
        return engine(KillsItsWorker(function, row, str(marks), deaths), ranges, batch_size)

    return run
