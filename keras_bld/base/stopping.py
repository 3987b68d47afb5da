"""Ctrl-C and SIGTERM: what is begun is brought to a point from which it can go on."""

import contextlib
import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A program was told to end, by Ctrl-C or SIGTERM.

    Args:
        number: of the signal.
    """

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stops_raise():
    """Within the block SIGTERM raises `Stopped` where the program is, as Ctrl-C does."""

    def stop(number, frame):
        raise Stopped(number)

    with _handled_by(stop):
        yield


@contextlib.contextmanager
def stops_wait():
    """Within the block the first Ctrl-C or SIGTERM only asks, a second one ends it at once.

    Yields:
        A list: empty, or the number of the signal. The block raises `Stopped` when it sees one;
        where it ends without, it is raised then.
    """
    asked = []

    def ask(number, frame):
        if asked:
            raise Stopped(number)
        asked.append(number)

    with _handled_by(ask):
        yield asked
    if asked:
        raise Stopped(asked[0])


def keep_python_handler(number):
    """Give a signal back to the handler that Python knows, where native code took it silently."""
    handler = signal.getsignal(number)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)


@contextlib.contextmanager
def _handled_by(handler):
    """Within the block these signals go to `handler`, where Python lets us choose."""
    earlier = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            # An ignored one (nohup) stays ignored; None is another library's.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                earlier[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)
