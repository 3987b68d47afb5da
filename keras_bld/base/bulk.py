"""Bulk work: one function of ranges of rows, run here or on the workers of a Ray cluster.

The work is a function (start, stop) that yields a result for each batch of these rows, in order. A
result depends on its rows alone, wherever a range was cut at a multiple of the batch size; so it is
the same whatever engine ran it.
"""

import contextlib
from typing import Literal

from keras_bld.base import checks
from keras_bld.base.runs import option

Engine = Literal["local", "ray"]
ENGINES = ("local", "ray")


def run_here(function, ranges, batch_size=1):
    """The engine `local`: yield the results of all ranges, in this process.

    Args:
        function: callable (start, stop) that yields a result for each batch of these rows.
        ranges: pairs (start, stop).
        batch_size: rows of a batch; the places where an engine may cut a range.

    Example:
        >>> def squares(start, stop):
        ...     yield from (number**2 for number in range(start, stop))
        >>> list(run_here(squares, [(0, 3), (5, 6)]))
        [0, 1, 4, 25]
    """
    for start, stop in ranges:
        yield from function(start, stop)


@contextlib.contextmanager
def open_engine(engine="local", ray_address=None, num_workers=None):
    """Connect to an engine for the length of the block.

    Args:
        engine: "local", or "ray" (extra `ray`).
        ray_address: of a Ray cluster, such as "10.0.0.1:6379"; by default RAY_ADDRESS, or a Ray of
            this machine alone, started for the block.
        num_workers: processes of Ray; by default one for each GPU of the cluster, or without GPUs
            one for each machine.

    Yields:
        Callable (function, ranges, batch_size) -> iterator of results in order, as `run_here`.
        With Ray the function is pickled: models go with their weights.

    Raises:
        ValueError: an unknown engine, or options of Ray for another.
        ImportError: Ray is not installed.
        ConnectionError: no cluster at this address.
    """
    checks.check_choice("engine", engine, ENGINES)
    if engine == "ray":
        from keras_bld.base.ray_engine import connected

        with connected(ray_address, num_workers) as run:
            yield run
        return
    for name, value in {"ray_address": ray_address, "num_workers": num_workers}.items():
        if value is not None:
            raise checks.error(
                name,
                f"{value!r} for the engine 'local'",
                "this option for the engine 'ray' alone",
                f"pass {option('engine', 'ray')}, or leave {name} out",
            )
    yield run_here
