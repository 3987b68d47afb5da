"""Progress bars: a terminal's or a notebook's own, and only where something takes long."""

import contextlib
import html
import sys
import threading
import time

from keras_bld.base.notebook import in_notebook

SECONDS_BEFORE_SHOWN = 2.0
_SECONDS_BETWEEN_UPDATES = 0.2  # of a notebook, where each one is a message

_inside = threading.local()  # of a bar: has `depth`
_one_on_the_screen = threading.Lock()


@contextlib.contextmanager
def progress_bar(description, total, show=True):
    """Show a progress bar once the block has taken over 2 seconds; it goes when the block ends.

    On standard error, or below the cell of a notebook; nothing where neither is there to see it.
    Inside of another block, also of a quiet one, nothing more is shown.

    Args:
        description: what is done, e.g. "generate".
        total: how many items; None where that is not known.
        show: False shows nothing.

    Yields:
        Callable of the number of items that are done.

    Example:
        >>> with progress_bar("count", 3) as done:
        ...     for number in range(3):
        ...         done(number + 1)
    """
    is_outermost = getattr(_inside, "depth", 0) == 0
    _inside.depth = getattr(_inside, "depth", 0) + 1
    try:
        kind = _kind_of_bar() if show and is_outermost else None
        if kind is None or not _one_on_the_screen.acquire(blocking=False):
            yield lambda done: None
            return
        bar = kind(description, total)
        timer = threading.Timer(SECONDS_BEFORE_SHOWN, bar.start)
        timer.daemon = True
        timer.start()
        try:
            yield bar.update
        finally:
            timer.cancel()
            timer.join()
            bar.stop()
            _one_on_the_screen.release()
    finally:
        _inside.depth -= 1


def followed(batches, description, total, show=True, axis=0):
    """Yield batches of arrays, and show a progress bar of their items.

    Args:
        batches: iterable of arrays.
        description, total, show: as in `progress_bar`.
        axis: along which the items of an array lie.
    """
    with progress_bar(description, total, show) as report:
        done = 0
        for batch in batches:
            done += batch.shape[axis]
            report(done)
            yield batch


def _kind_of_bar():
    if in_notebook():
        return _NotebookBar
    return _TerminalBar if sys.stderr is not None and sys.stderr.isatty() else None


class _TerminalBar:
    """A bar of rich on standard error."""

    def __init__(self, description, total):
        self._description, self._total = description, total
        self._done, self._progress = 0, None

    def start(self):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = [TextColumn("{task.description}"), BarColumn()]
        if self._total is None:
            columns.append(TimeElapsedColumn())
        else:
            columns += [MofNCompleteColumn(), TimeRemainingColumn()]
        progress = Progress(
            *columns,
            console=Console(file=sys.stderr),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # a file or pipe gets what is printed
        )
        self._task = progress.add_task(self._description, total=self._total, completed=self._done)
        progress.start()
        self._progress = progress  # from here on `update` shows what it is told
        self.update(self._done)  # what it was told since add_task

    def update(self, done):
        self._done = done
        if self._progress is not None:
            self._progress.update(self._task, completed=done)

    def stop(self):
        if self._progress is not None:
            self._progress.stop()


class _NotebookBar:
    """A bar of the notebook's page; at the end a line with the time stays in its place."""

    def __init__(self, description, total):
        self._description, self._total = description, total
        self._done, self._handle = 0, None
        self._begun = self._updated = time.monotonic()

    def start(self):
        from IPython.display import display

        self._handle = display(self._content(), raw=True, display_id=True)

    def update(self, done):
        self._done, now = done, time.monotonic()
        if self._handle is not None and now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._handle.update(self._content(), raw=True)

    def stop(self):
        if self._handle is not None:
            self._handle.update({"text/plain": self._text()}, raw=True)

    def _text(self):
        seconds = time.monotonic() - self._begun
        count = "" if self._total is None else f" {self._done}/{self._total},"
        return f"{self._description}:{count} {seconds:.1f} s"

    def _content(self):
        text = self._text()
        share = "" if self._total is None else f'value="{self._done}" max="{self._total}"'
        return {
            "text/plain": text,
            "text/html": f"<progress {share}></progress> {html.escape(text)}",
        }
