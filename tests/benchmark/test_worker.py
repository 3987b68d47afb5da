import json
import os
import time

import numpy as np
import pytest
from harness import run_in_new_process

from keras_bld.benchmark.settings import reading
from keras_bld.benchmark.worker import Lap, Server, Worker, WorkerError

pytestmark = pytest.mark.once


class Cases:
    notes = {"setting": "as it is"}

    def twice(self, number):
        def run(lap):
            lap("half")
            return {"value": np.array(2 * number)}

        return run


def test_requests(tmp_path):
    server = Server(Cases())
    prepared = server.answer_or_error({"prepare": "a", "case": "twice", "settings": {"number": 3}})
    assert set(prepared) == {"build_seconds", "first_seconds"}
    answer = server.answer_or_error({"run": "a"})
    assert 0 <= answer["parts"]["half"] <= answer["seconds"]
    assert server.answer_or_error({"save": "a", "path": str(tmp_path / "a.npz")}) == {}
    assert np.load(tmp_path / "a.npz")["value"] == 6
    described = server.answer_or_error({"describe": True})
    assert described["notes"] == Cases.notes and 0.05 < described["peak_gib"] < 100


def test_what_was_read_ahead_is_not_timed():
    def batches():
        for _ in range(2 * (os.cpu_count() or 1)):
            time.sleep(0.1)  # as if the loader were slow where nobody waits
            yield
        while True:
            yield

    lap = Lap()
    before = lap.begun
    assert reading(batches(), num_batches=5)(lap) == {}
    assert time.perf_counter() - lap.begun < 0.1 < lap.begun - before


def test_failures_are_answers():
    server = Server(Cases())
    answer = server.answer_or_error({"prepare": "a", "case": "thrice", "settings": {}})
    assert "AttributeError" in answer["error"] and "thrice" in answer["error"]
    assert "error" in server.answer_or_error({"run": "never prepared"})


@pytest.mark.slow
def test_a_process_answers_and_ends():
    program = """
import json
from keras_bld.benchmark.worker import Worker, WorkerError
worker = Worker("limit")
settings = {"library": "torch", "precision": "float32", "rows": 8, "width": 4}
print(json.dumps(worker.ask(prepare="p", case="product", settings=settings)))
print(json.dumps(worker.ask(run="p")))
try:
    worker.ask(run="q")
except WorkerError as error:
    print(json.dumps(str(error)))
worker.close()
print(json.dumps(worker._process.returncode))
"""
    prepared, run, error, status = map(json.loads, run_in_new_process(program).splitlines())
    assert prepared["first_seconds"] > 0 and run["seconds"] > 0
    assert "'q'" in error and status == 0


@pytest.mark.slow
def test_a_worker_that_is_gone_is_an_error():
    worker = Worker("no such path")
    with pytest.raises(WorkerError, match="ended with status"):
        worker.ask(describe=True)
    worker.close()
