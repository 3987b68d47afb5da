"""A process that times one path: its own thread pools, its own peak memory.

The parent writes requests, one JSON object a line, to standard input; answers come back the same
way. Whatever else is printed goes to standard error.

    {"prepare": NAME, "case": CASE, "settings": {...}}  builds it, runs it once to compile
    {"run": NAME}                                       runs it once
    {"save": NAME, "path": PATH}                        writes the last run's results (.npz)
    {"describe": true}                                  peak memory and notes
"""

import json
import os
import resource
import subprocess
import sys
import time

from keras_bld.benchmark.settings import OURS


class WorkerError(RuntimeError):
    """A request that the worker could not fulfil; the message is the worker's."""


class Worker:
    """The parent's side.

    Args:
        path: one of `settings.PATHS`, or "limit".
    """

    def __init__(self, path):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        # The processes share a GPU: JAX would take three quarters of its memory at once.
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        if path in ("peer", "peer_bfloat16", "limit"):
            environment["KERAS_BACKEND"] = "torch"  # else a second framework loads beside torch
        self._process = subprocess.Popen(
            [sys.executable, "-m", "keras_bld.benchmark.worker", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.path = path

    def ask(self, **request):
        """Send a request and return the answer.

        Raises:
            WorkerError: the worker failed, or is gone.
        """
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"the process ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Server:
    """The worker's side.

    Args:
        cases: object with a method for each case, such as a `KerasCases`, and `notes`.
    """

    def __init__(self, cases):
        self._cases = cases
        self._functions, self._results = {}, {}

    def answer_or_error(self, request):
        """The answer to one request; a failure becomes {"error": message}."""
        try:
            return self._answer(request)
        except Exception as error:  # the parent decides what a failure means
            return {"error": f"{type(error).__name__}: {error}"}

    def _answer(self, request):
        if "prepare" in request:
            return self._prepare(request["prepare"], request["case"], request["settings"])
        if "run" in request:
            return self._run(request["run"])
        if "save" in request:
            import numpy as np

            np.savez(request["path"], **self._results[request["save"]])
            return {}
        return {"peak_gib": round(_peak_bytes() / 2**30, 3), "notes": self._cases.notes}

    def _prepare(self, name, case, settings):
        begun = time.perf_counter()
        self._functions[name] = getattr(self._cases, case)(**settings)
        built = time.perf_counter() - begun
        return {"build_seconds": built, "first_seconds": self._run(name)["seconds"]}

    def _run(self, name):
        lap = Lap()
        self._results[name] = self._functions[name](lap)
        return {"seconds": time.perf_counter() - lap.begun, "parts": lap.parts}


class Lap:
    """The clock of one run: `lap("decode")` after a part of the work notes how long it took.

    Attributes:
        begun: what `time.perf_counter` said when the run, or the last `restart`, began.
        parts: name of a part -> its seconds.
    """

    def __init__(self):
        self.restart()

    def restart(self):
        """Leave out what was done so far."""
        self.begun = self._last = time.perf_counter()
        self.parts = {}

    def __call__(self, part):
        now = time.perf_counter()
        self.parts[part], self._last = now - self._last, now


def _peak_bytes():
    """Most memory that this process held."""
    try:
        # getrusage counts what the parent held when it started this process, too.
        with open("/proc/self/status") as file:
            kilobytes = next(line.split()[1] for line in file if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cases_of(path):
    if path in OURS:
        from keras_bld.benchmark.keras_cases import KerasCases

        return KerasCases(path)
    if path == "limit":
        from keras_bld.benchmark.machine_limit import LimitCases

        return LimitCases(path)
    if path in ("peer", "peer_bfloat16"):
        from keras_bld.benchmark.torch_peer.cases import PeerCases

        return PeerCases(path)
    raise SystemExit(f"unknown path {path!r}")


def _serve(path):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(_cases_of(path))
    for line in sys.stdin:
        answers.write(json.dumps(server.answer_or_error(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
