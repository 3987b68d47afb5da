"""Interleaved timing over worker processes, and what a row of the tables is made of."""

import contextlib
import pathlib
import statistics
import sys
import tempfile

import numpy as np

from keras_bld.benchmark.settings import OURS
from keras_bld.benchmark.worker import Worker, WorkerError

# Fast path -> the path in float32 that its results are compared with (same weights, same noise).
_REFERENCES = {"keras_bfloat16": "keras", "openvino": "keras", "peer_bfloat16": "peer"}


class Team:
    """One worker process for each path; they wait while another runs.

    Args:
        paths: names of paths, see `Worker`.
        say: callable of a line of progress; None prints to standard error.

    Attributes:
        failures: path -> message of what it could not do. Such a path is left out of the row.
    """

    def __init__(self, paths, say=None):
        self._workers = {path: Worker(path) for path in paths}
        self._say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        self.failures = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self._workers.values():
            worker.close()

    def prepare(self, name, case, settings, paths=None):
        """Build a case in each worker and run it once.

        Args:
            name: what the case is called from here on.
            case: name of a method of the worker's cases.
            settings: its arguments.
            paths: which workers; None takes all but "limit".

        Returns:
            path -> {"build_seconds", "first_seconds"} of the paths that can do it.
        """
        if paths is None:
            paths = [path for path in self._workers if path != "limit"]
        prepared = {}
        for path in paths:
            if path not in self._workers:
                continue
            self._say(f"{name}: {path} builds and runs once")
            with self._failing(path, name):
                request = {"prepare": name, "case": case, "settings": settings}
                prepared[path] = self._workers[path].ask(**request)
        return prepared

    def interleave(self, jobs, num_repeats):
        """Run each of some prepared jobs `num_repeats` times, in turn: all see the same load.

        Args:
            jobs: list of (path, name).

        Returns:
            (path, name) -> list of answers, without the jobs that failed.
        """
        answers = {job: [] for job in jobs}
        for repeat in range(num_repeats):
            for path, name in list(answers):
                with self._failing(path, name):
                    answer = self._workers[path].ask(run=name)
                    answers[path, name].append(answer)
                    # Numbers at once: what is stopped later has not been measured for nothing.
                    took = f"{answer['seconds']:.3g} s"
                    self._say(f"{name}: {path} {took}, {repeat + 1} of {num_repeats}")
                    continue
                del answers[path, name]
        return answers

    def results(self, path, name):
        """The arrays that the last run of a job returned."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "results.npz"
            self._workers[path].ask(save=name, path=str(file))
            with np.load(file) as arrays:
                return dict(arrays)

    def describe(self):
        """Path -> {"peak_gib", "notes"} of each worker so far."""
        described = {}
        for path, worker in self._workers.items():
            with contextlib.suppress(WorkerError):
                described[path] = worker.ask(describe=True)
        return described

    @contextlib.contextmanager
    def _failing(self, path, name):
        try:
            yield
        except WorkerError as error:
            self._say(f"{name}: {path} cannot: {error}")
            self.failures[f"{path}, {name}"] = str(error)


def measured_row(team, name, case, settings, num_repeats, divide_by=1, gflop=None, also=()):
    """Prepare a case on every path of the team, time it, and put the numbers in a row.

    Args:
        team: the `Team`.
        name: the row's name.
        case, settings: see `Team.prepare`.
        num_repeats: timed runs of each path; medians count.
        divide_by: units of work in a run (steps, batches), for seconds a unit.
        gflop: operations of a unit in 10^9, to report GFLOP/s.
        also: further (path, name) jobs that are run in turn with it.

    Returns:
        The row, and the answers of the jobs in `also`.
    """
    prepared = team.prepare(name, case, settings)
    jobs = [(path, name) for path in prepared]
    answers = team.interleave([*jobs, *also], num_repeats)
    done = [path for path, _ in jobs if (path, name) in answers]
    times = {
        path: [answer["seconds"] / divide_by for answer in answers[path, name]] for path in done
    }
    row = {"name": name, **comparison(times)}
    row["first_seconds"] = {path: round(prepared[path]["first_seconds"], 3) for path in done}
    parts = {path: _median_parts(answers[path, name]) for path in done}
    if any(parts.values()):
        row["parts"] = parts
    if gflop is not None:
        row["gflop"] = rounded(gflop)
        row["gflops"] = {path: round(gflop / row["seconds"][path], 1) for path in done}
    quality = _quality(team, name, done)
    if quality:
        row["quality"] = quality
    return row, {job: answers[job] for job in also if job in answers}


def comparison(times):
    """Medians of each path's times, our fastest path, and the peer's seconds over it."""
    seconds = {path: statistics.median(values) for path, values in times.items()}
    row = {
        "seconds": {path: rounded(value) for path, value in seconds.items()},
        "lowest_seconds": {path: rounded(min(values)) for path, values in times.items()},
    }
    ours = {path: value for path, value in seconds.items() if path.split("+")[0] in OURS}
    if ours:
        row["fastest"] = min(ours, key=ours.get)
        for peer in ("peer", "peer_bfloat16"):
            if peer in seconds:
                row[f"{peer}_ratio"] = round(seconds[peer] / min(ours.values()), 2)
    return row


def rounded(value):
    """Six significant digits."""
    return float(f"{value:.6g}")


def _median_parts(answers):
    names = answers[0]["parts"]
    return {
        name: rounded(statistics.median(answer["parts"][name] for answer in answers))
        for name in names
    }


def _quality(team, name, paths):
    """Fast paths against float32: share of bits that differ, PSNR of the images."""
    quality = {}
    for path, reference in _REFERENCES.items():
        if path in paths and reference in paths:
            fast, exact = team.results(path, name), team.results(reference, name)
            quality[path] = differences(fast, exact)
    return {path: found for path, found in quality.items() if found}


def differences(fast, exact):
    """Share of differing bits of `codes`, and PSNR in dB of `images`, where there are any."""
    found = {}
    if "codes" in fast:
        found["differing_bits"] = round(float(np.mean(fast["codes"] != exact["codes"])), 6)
    if "images" in fast:
        error = np.mean(np.square(fast["images"].astype("float64") - exact["images"]))
        found["psnr_db"] = round(float(-10 * np.log10(max(error, 1e-12))), 1)
    return found
