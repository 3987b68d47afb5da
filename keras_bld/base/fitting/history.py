"""The losses of a training: history.csv, one row an epoch."""

import csv
import io
import pathlib

import keras

from keras_bld.base import checks
from keras_bld.base.files import write_text

HISTORY_FILE = "history.csv"


class HistoryTable(keras.callbacks.Callback):
    """Keeps the logs of all epochs, and writes them as a table, whole after each epoch.

    Args:
        path: of the file.
        rows: list of dictionaries, one an epoch, that the callback adds to; of a run that goes on
            the rows that it has.
        writes: whether there is a table, or the logs are kept alone.
    """

    async_safe = True  # it looks at epochs alone

    def __init__(self, path, rows, writes=True):
        super().__init__()
        self._writes = writes
        self.path = path
        self.rows = rows

    def on_train_begin(self, logs=None):
        """Write what there is: a killed run may have written more than its checkpoint knows."""
        if self.rows and self._writes:
            write_history(self.path, self.rows)

    def on_epoch_end(self, epoch, logs=None):
        """Add a row."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch, **dict(sorted(values.items()))})
        if self._writes:
            write_history(self.path, self.rows)


def write_history(path, rows):
    """Write rows, a list of dictionaries with the same keys, as a table."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), restval="NA", extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def read_history(path):
    """Return the rows of such a table, or of one of Keras's `CSVLogger`, as numbers.

    A last row without its line end is left out. "NA", which stands for what an epoch has not
    measured, is NaN.

    Raises:
        ValueError: a damaged file.
    """
    with checks.as_error(lambda reason: _damaged(path, reason)):
        text = pathlib.Path(path).read_bytes().decode("utf-8")
        whole_rows = text[: text.rfind("\n") + 1]
        return [
            {name: float("nan" if value == "NA" else value) for name, value in row.items()}
            for row in csv.DictReader(io.StringIO(whole_rows), strict=True)
        ]


def _damaged(path, reason):
    return checks.error(
        "work_dir",
        f"`{path}`, a damaged table ({reason})",
        "the losses as this run wrote them, numbers alone",
        "delete the file; where its training goes on, it is written again",
    )
