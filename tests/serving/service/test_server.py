"""The service under load, and what it does where processes end."""

import collections
import os
import pathlib
import signal
import threading
import time

import numpy as np
import pytest
from serving.service.running import RunningService, load, memory_of

from keras_bld.serving.service.server import listen

pytestmark = pytest.mark.on_tensorflow
NUM_CLIENTS = 64
HEAVY = [f"site-packages/{name}/" for name in ("tensorflow", "torch", "jaxlib", "h5py")]
GROWTH = 20 * 2**20  # of a process in bytes


@pytest.fixture(scope="module")
def own(program):
    """A service that is shaken; its queue is shorter than its clients are many."""
    running = RunningService(program.directory, "--max-queue", "48", "--max-batch", "8")
    running.worker()
    yield running
    if running.process.poll() is None:
        running.stop()


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_it_starts_without_keras_and_a_backend(own):
    worker = own.worker()
    seconds = cpu_seconds(own.process.pid) + cpu_seconds(worker)
    for process in (own.process.pid, worker):
        loaded = pathlib.Path(f"/proc/{process}/maps").read_text()
        assert not [name for name in HEAVY if name in loaded]
    assert seconds < 4, f"{seconds} s of processor time, both processes"


@pytest.mark.parametrize("seconds", [8, pytest.param(1200, marks=pytest.mark.slow)])
def test_it_holds_many_clients(own, seconds):
    def body(client, request):
        return {"seed": 1000 * client + request, "labels": client % 3}

    assert own.event("worker complete")["refused"] == {}
    load(own.port, NUM_CLIENTS, 2, body)  # buffers grow to their size
    processes = own.process.pid, own.worker()
    before = [memory_of(process) for process in processes]
    statuses, times = load(own.port, NUM_CLIENTS, seconds, body)
    after = [memory_of(process) for process in processes]
    counts = collections.Counter(statuses)
    print(counts, np.percentile(times, [50, 95]), before, after)
    assert set(counts) <= {200, 429} and counts[200] > 4 * NUM_CLIENTS
    assert all(new - old < GROWTH for old, new in zip(before, after, strict=True))
    metrics = own.metrics()
    batch = metrics["keras_bld_denoiser_rows"] / metrics["keras_bld_denoiser_runs"]
    assert batch > 2  # requests that come at the same time share runs


def test_images_of_a_crowd_are_those_of_one(own):
    """Bit for bit, whatever was in the batch."""
    bodies = [{"seed": seed, "labels": seed % 3, "guidance": seed % 2, "steps": 1 + seed % 4}
              for seed in range(24)]  # fmt: skip
    alone = [own.post("/v1/generate", **body)["images"] for body in bodies]
    together = [None] * len(bodies)

    def ask(place):
        together[place] = own.post("/v1/generate", **bodies[place])["images"]

    threads = [threading.Thread(target=ask, args=[place]) for place in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_killed_worker_costs_no_answer(own):
    answers = []
    body = {"count": 16, "guidance": 2.0, "seed": 1}
    expected = own.post("/v1/generate", **body)

    def ask():
        answers.append(own.ask("POST", "/v1/generate", body))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.01)
    os.kill(own.worker(), signal.SIGKILL)
    assert own.post("/v1/generate", **body) == expected  # the next request
    asking.join()
    assert [answer[2] for answer in answers] == [expected]
    assert own.event("worker ended")["status"] == -signal.SIGKILL
    assert own.worker(1) != own.worker() and own.metrics()["keras_bld_worker_starts"] == 2


def test_sigterm_lets_what_runs_be_finished(own):
    """The last of this file: the service ends."""
    answers = []

    def ask():
        answers.append(own.ask("POST", "/v1/generate", {"count": 16, "guidance": 2.0})[0])

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    time.sleep(0.05)
    worker = own.worker(1)
    assert own.stop() == 0
    for thread in asking:
        thread.join()
    assert answers == [200] * 3
    assert own.log[-1]["event"] == "ended"
    with pytest.raises(ConnectionRefusedError):
        own.ask("GET", "/health/live")
    with pytest.raises(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)


def test_an_address_that_is_taken_is_one_message():
    taken = listen("127.0.0.1", 0)
    taken.listen()
    with pytest.raises(OSError, match=r"Invalid `port`: .* choose another with --port"):
        listen("127.0.0.1", taken.getsockname()[1])
    taken.close()
