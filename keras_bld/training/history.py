"""The losses of a stage: history.csv, one row an epoch, as Keras's CSVLogger writes them."""

import csv
import io
import pathlib

from keras_bld.base import checks
from keras_bld.base.files import write_text


def read_history(path):
    """Return the rows of a file of Keras's `CSVLogger` as dictionaries of numbers.

    A last row without its line end is left out: a killed run wrote half of it. "NA", which Keras
    writes for what an epoch has not measured, is NaN.

    Raises:
        ValueError: a damaged file.
    """
    with checks.as_error(lambda reason: _damaged(path, reason)):
        return [
            {name: float("nan" if value == "NA" else value) for name, value in row.items()}
            for row in csv.DictReader(io.StringIO(_whole_rows(path)), strict=True)
        ]


def mend_history(path):
    """Take out the half row that a killed run left, so that the next one stands in its own line.

    Raises:
        ValueError: a damaged file.
    """
    read_history(path)
    with checks.as_error(lambda reason: _damaged(path, reason)):
        write_text(path, _whole_rows(path))


def _whole_rows(path):
    text = pathlib.Path(path).read_bytes().decode("utf-8")
    return text[: text.rfind("\n") + 1]


def _damaged(path, reason):
    return checks.error(
        "work_dir",
        f"`{path}`, a damaged table ({reason})",
        "the losses as this run wrote them, numbers alone",
        "delete the file and run the same command again; the table begins anew",
    )
