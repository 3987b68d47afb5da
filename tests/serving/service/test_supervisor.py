"""The supervisor with workers that do what a test says."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from keras_bld.serving.service import supervisor as supervisors
from keras_bld.serving.service.program import environment
from keras_bld.serving.service.settings import ServiceSettings
from keras_bld.serving.service.supervisor import BusyError, LostError, RefusedError, Supervisor

pytestmark = pytest.mark.on_tensorflow
SETTINGS = ServiceSettings(max_count=2, max_queue=4, timeout=30.0)
WORKER = """
import os, signal, socket, sys
from keras_bld.serving.service.messages import pack, receive
connection = socket.socket(fileno=int(sys.argv[1]))
file = connection.makefile("rb")
connection.sendall(pack({"event": "ready"}))
while True:
    message = receive(file)
    if message is None:
        break
    header, blobs = message
    kind = header.get("kind")
    if kind == "die" or (kind == "die once" and not os.path.exists(sys.argv[2])):
        open(sys.argv[2], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "stand still" and not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "w").close()
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "refuse":
        connection.sendall(pack({"number": header["number"], "refused": "no good"}))
    elif kind != "wait" and kind is not None:
        answer = {"number": header["number"], "fields": {"pid": os.getpid()}}
        connection.sendall(pack(answer, blobs))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a test's coroutine with a supervisor; gives the events of its log."""
    (tmp_path / "worker.py").write_text(textwrap.dedent(WORKER))

    def start_worker(program, settings):
        here, there = socket.socketpair()
        command = [sys.executable, tmp_path / "worker.py", str(there.fileno()), tmp_path / "been"]
        process = subprocess.Popen(command, pass_fds=[there.fileno()], env=environment())
        there.close()
        return process, here

    monkeypatch.setattr(supervisors, "start_worker", start_worker)

    def run(use):
        events = []

        async def supervised():
            supervisor = Supervisor(
                None, SETTINGS, None, lambda event, level="info", **fields: events.append(event)
            )
            supervisor.start()
            try:
                await asyncio.wait_for(use(supervisor), 30)
            finally:
                await supervisor.stop()

        asyncio.run(supervised())
        return events

    return run


def submit(supervisor, kind, cost=1, blobs=()):
    return supervisor.submit({"kind": kind}, list(blobs), cost, 30.0)[1]


def test_answers_come_back_and_a_full_queue_is_busy(run):
    async def use(supervisor):
        early = submit(supervisor, "echo", 2, [b"abc"])  # before there is a worker
        number, waiting = supervisor.submit({"kind": "wait"}, [], 2, 30.0)
        with pytest.raises(BusyError) as busy:
            submit(supervisor, "echo")
        assert busy.value.seconds >= 1
        assert (await early)[1] == [b"abc"]
        supervisor.drop(number)
        assert supervisor.queued == 0 and not waiting.done()
        with pytest.raises(RefusedError, match="no good"):
            await submit(supervisor, "refuse")

    assert run(use) == ["worker ready"]


def test_a_request_outlives_its_worker(run):
    async def use(supervisor):
        before, _ = await submit(supervisor, "echo")
        assert await submit(supervisor, "die once")
        after, _ = await submit(supervisor, "echo")
        assert before["pid"] != after["pid"] and supervisor.num_starts == 2

    assert run(use) == ["worker ready", "worker ended", "worker ready"]


def test_a_request_that_kills_workers_is_given_up(run):
    async def use(supervisor):
        with pytest.raises(LostError):
            await submit(supervisor, "die")
        assert supervisor.num_starts == 2
        await submit(supervisor, "echo")

    assert run(use).count("worker ended") == 2


def test_a_worker_that_stands_still_is_killed(run, monkeypatch):
    monkeypatch.setattr(supervisors, "_SECONDS_OF_SILENCE", 0.5)

    async def use(supervisor):
        await submit(supervisor, "stand still")
        assert supervisor.num_starts == 2

    assert "worker stands still" in run(use)


def test_the_worker_ends_with_the_supervisor(run):
    seen = []

    async def use(supervisor):
        await submit(supervisor, "echo")
        seen.append(supervisor.process_id)

    run(use)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], signal.SIGKILL)
