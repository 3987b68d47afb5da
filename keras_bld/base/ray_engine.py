"""The engine `ray`: pieces of bulk work on the workers of a Ray cluster, through Ray Data.

The function travels once to each worker, with its models. Pieces are numbered; each is computed by
whichever worker is free, and computed again where its worker or its machine was lost.
"""

import contextlib
import importlib
import logging
import math
import os
import pickle
import signal
import socket
import sys
import threading

from keras_bld.base import checks
from keras_bld.base.optional import import_optional

_BATCHES_IN_A_PIECE = 8
_PIECES_FOR_A_WORKER = 4  # at least, so that none waits long for the last one
_MOST_DEATHS = 5  # of workers, by one piece
# What decides how a backend computes; a worker gets what this process has.
_ENVIRONMENT = ("KERAS_BACKEND", "KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL", "XLA_FLAGS")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


@contextlib.contextmanager
def connected(address=None, num_workers=None):
    """Connect to a cluster, or start one on this machine; see `open_engine`.

    A Ray that this process is connected to already is taken, and left as it is.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    is_ours = not ("ray" in sys.modules and sys.modules["ray"].is_initialized())
    if is_ours:
        _check_answers(address)
    # Before Ray is imported; nothing is reported to anyone.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import_optional("ray.data", "ray")
    import ray

    if num_workers is not None:
        num_workers = checks.check_integer("num_workers", num_workers, 1)
    if is_ours:
        _connect(ray, address)
    try:
        yield RayEngine(num_workers)
    finally:
        if is_ours:
            ray.shutdown()


def _connect(ray, address):
    options = {}
    if address == "local":
        options["include_dashboard"] = False
        # This process waits for its workers, and so they do not yield to all others (nice 15).
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        with _own_signals():
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **options)
    except (OSError, RuntimeError, ValueError) as reason:
        raise _no_answer(address, reason) from reason


def _check_answers(address):
    """Raise ConnectionError unless something answers at HOST:PORT; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as reason:
            raise _no_answer(address, reason) from reason


def _no_answer(address, reason):
    return checks.error(
        "ray_address",
        f"{address!r}, where no Ray answers ({reason})",
        "the address of a cluster that runs, such as '10.0.0.1:6379'",
        "start one with `ray start --head`, or leave the address out for this machine alone; "
        "a cluster with token authentication needs RAY_AUTH_MODE=token and its token here, too",
        kind=ConnectionError,
    )


@contextlib.contextmanager
def _own_signals():
    """Keep this program's answer to SIGTERM, which Ray would replace."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class RayEngine:
    """Runs bulk work on the Ray that this process is connected to.

    Args:
        num_workers: processes; None for one for each GPU, or without GPUs for each machine.
    """

    def __init__(self, num_workers=None):
        import ray

        resources = ray.cluster_resources()
        num_gpus, self._num_cpus = int(resources.get("GPU", 0)), resources.get("CPU", 1)
        machines = sum(node["Alive"] for node in ray.nodes())
        self.num_workers = num_workers or num_gpus or machines
        # Two workers may share a GPU; never does one wait for more than the cluster has.
        self._gpus_each = num_gpus / max(self.num_workers, num_gpus) if num_gpus else 0

    def __call__(self, function, ranges, batch_size=1):
        """Yield the results of all ranges, in order."""
        import ray
        from ray.data import ActorPoolStrategy, DataContext, from_items

        pieces = cut(ranges, batch_size, self.num_workers)
        if not pieces:
            return
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Attempts).remote()
        work = ray.put(_packed(function))
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = DataContext.get_current().copy()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        with DataContext.current(context):
            numbers = from_items(list(range(len(pieces))), override_num_blocks=len(pieces))
            results = numbers.map_batches(
                _Worker,
                fn_constructor_args=(work, pieces, attempts, _MOST_DEATHS),
                batch_size=1,
                compute=ActorPoolStrategy(size=min(self.num_workers, len(pieces))),
                # Half of the processors stay free for workers of a machine that is lost.
                num_cpus=min(1.0, self._num_cpus / self.num_workers / 2),
                num_gpus=self._gpus_each or None,
                runtime_env={"env_vars": self._environment()},
            )
        for expected, row in enumerate(results.iter_rows()):
            if row["piece"] != expected:
                raise RuntimeError(f"Ray returned piece {row['piece']} in place of {expected}")
            made = pickle.loads(row["made"])
            if isinstance(made, BaseException):
                raise made
            yield from made

    def _environment(self):
        """Variables of the workers: as here; the threads of a machine shared among them."""
        threads = str(max(1, int(self._num_cpus // self.num_workers)))
        import keras

        given = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        given["KERAS_BACKEND"] = keras.config.backend()
        return given | {name: os.environ.get(name, threads) for name in _THREADS}


def cut(ranges, batch_size, num_workers):
    """The pieces of ranges: whole batches, few enough that every worker gets several.

    Args:
        ranges: pairs (start, stop).
        batch_size: rows of a batch.
        num_workers: among how many the work is shared.

    Returns:
        List of pairs (start, stop), in order; none reaches over the end of its range.

    Example:
        >>> cut([(0, 10), (20, 25)], batch_size=4, num_workers=1)
        [(0, 4), (4, 8), (8, 10), (20, 24), (24, 25)]
    """
    ranges = list(ranges)
    num_batches = sum(math.ceil((stop - start) / batch_size) for start, stop in ranges)
    batches = max(1, min(_BATCHES_IN_A_PIECE, num_batches // (_PIECES_FOR_A_WORKER * num_workers)))
    step = batches * batch_size
    return [
        (first, min(first + step, stop))
        for start, stop in ranges
        for first in range(start, stop, step)
    ]


class _Attempts:
    """An actor that counts how often each piece was begun."""

    def __init__(self):
        self._count = {}

    def begin(self, piece):
        """How often this piece is begun now."""
        self._count[piece] = self._count.get(piece, 0) + 1
        return self._count[piece]


class _Worker:
    """An actor of Ray Data: loads the function once, and computes pieces by their numbers."""

    def __init__(self, work, pieces, attempts, most_deaths):
        import ray

        self._pieces, self._attempts, self._most_deaths = pieces, attempts, most_deaths
        try:
            self._function = _unpacked(ray.get(work))
        except Exception as reason:
            self._function = _raises(reason)

    def __call__(self, batch):
        import ray

        (number,) = map(int, batch["item"])
        try:
            attempt = ray.get(self._attempts.begin.remote(number))
            if attempt > self._most_deaths:
                raise checks.error(
                    "engine",
                    f"piece {number} (rows {self._pieces[number]}), which has cost "
                    f"{attempt - 1} workers their life",
                    "work that fits into the memory of a machine",
                    "pass a smaller batch_size or num_workers, and look at Ray's logs",
                    kind=RuntimeError,
                )
            made = list(self._function(*self._pieces[number]))
        except Exception as reason:
            made = _sendable(reason)
        return {"piece": [number], "made": [pickle.dumps(made)]}


def _raises(reason):
    def function(start, stop):
        raise reason

    return function


def _sendable(reason):
    """An exception as it is, or its message where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(reason))
    except Exception:
        return RuntimeError(f"{type(reason).__name__}: {reason}")
    return reason


def _packed(function):
    """Bytes of a function, and the modules with the classes that its models are made of."""
    import keras  # not at the top: a worker needs what its work needs

    registered = keras.saving.get_custom_objects().values()
    modules = {entry.__module__ for entry in registered} & set(sys.modules) - {"__main__"}
    return pickle.dumps((sorted(modules), pickle.dumps(function)))


def _unpacked(content):
    modules, function = pickle.loads(content)
    for module in modules:
        importlib.import_module(module)
    return pickle.loads(function)
