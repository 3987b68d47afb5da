"""The worker process as the HTTP process sees it: started, spoken to, and started again."""

import asyncio
import dataclasses
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

from keras_bld.serving.service.messages import pack, receive_from
from keras_bld.serving.service.program import environment

# A request that was there when this many workers died is not tried again.
_MOST_TRIES = 2
_LONGEST_PAUSE = 5.0  # seconds between a worker that dies at once and the next
_SECONDS_OF_SILENCE = 60.0  # of a worker with work; longer is taken for a standstill


class RefusedError(ValueError):
    """What a request brings is no good; the message says why."""


class BusyError(Exception):
    """The queue is full. `seconds` says when to come again."""

    def __init__(self, seconds):
        super().__init__("the queue is full")
        self.seconds = seconds


class LostError(Exception):
    """Workers died over this request."""


def start_worker(program, settings):
    """Start a worker process; returns (process, socket)."""
    here, there = socket.socketpair()
    arguments = [str(there.fileno()), str(program.directory)]
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_bld.serving.service.worker", *arguments,
         json.dumps(dataclasses.asdict(settings))],
        pass_fds=[there.fileno()],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal is for the HTTP process alone
    )  # fmt: skip
    there.close()
    return process, here


@dataclass(eq=False)
class _Task:
    """A request that a worker is to answer."""

    header: dict
    blobs: list
    cost: int
    ends: float
    answer: asyncio.Future = field(repr=False)
    tries: int = 0


class Supervisor:
    """Keeps a worker running and gives it requests.

    Args:
        program: a `Program`.
        settings: `ServiceSettings`.
        started: what `start_worker` returned, where a worker was started early.
        on_event: callable (event, **fields) for the log.

    Attributes:
        num_starts: how many workers were started.
        num_steps, num_rows: of the denoiser, in all.
    """

    def __init__(self, program, settings, started, on_event):
        self._program, self._settings = program, settings
        self._started = started
        self._on_event = on_event
        self._numbers = itertools.count()
        self._tasks = {}
        self._process = self._writer = None
        self._heard = time.monotonic()
        self._runner = None
        self._seconds_an_image = 0.1
        self.is_ready = False
        self.failure = None
        self.num_starts = self.num_steps = self.num_rows = 0

    @property
    def queued(self):
        """Images that wait or are being made."""
        return sum(task.cost for task in self._tasks.values())

    @property
    def process_id(self):
        """Of the worker that runs now; None where none does."""
        return None if self._process is None else self._process.pid

    def start(self):
        """Begin to supervise; within an event loop."""
        self._runner = asyncio.create_task(self._run())

    async def stop(self):
        """End the worker."""
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        self._end_process()

    def submit(self, header, blobs, cost, seconds):
        """Give the worker a request.

        Args:
            header: of the message.
            blobs: bytes that belong to it.
            cost: images.
            seconds: that it may take.

        Returns:
            (number, future of (fields, blobs)); the future raises `RefusedError` or `LostError`.

        Raises:
            BusyError: the queue is full.
        """
        queued = self.queued
        if queued + cost > self._settings.max_queue:
            raise BusyError(max(1, round(queued * self._seconds_an_image)))
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        task = _Task(header, blobs, cost, time.monotonic() + seconds, future)
        self._tasks[number] = task
        if self.is_ready:
            self._send(number, task)
        return number, future

    def drop(self, number):
        """Nobody waits for this request any more."""
        if self._tasks.pop(number, None) is not None and self.is_ready:
            self._write(pack({"drop": number}))

    def _send(self, number, task):
        task.tries += 1
        header = {**task.header, "number": number, "seconds": task.ends - time.monotonic()}
        self._write(pack(header, task.blobs))

    def _write(self, message):
        if not self._writer.is_closing():
            self._writer.write(message)

    async def _run(self):
        pause = 0.0
        while True:
            begun = time.monotonic()
            self._process, connection = self._started or start_worker(self._program, self._settings)
            self._started = None
            self.num_starts += 1
            reader, self._writer = await asyncio.open_connection(sock=connection)
            self._heard = time.monotonic()
            watch = asyncio.create_task(self._watch(self._process))
            try:
                while True:
                    self._hear(*await receive_from(reader))
            except (EOFError, OSError):
                pass
            finally:
                watch.cancel()
                self.is_ready = False
                self._writer.close()
            status = await asyncio.to_thread(self._process.wait)
            self._on_event("worker ended", level="error", status=status, failure=self.failure)
            self._lose()
            lived = time.monotonic() - begun
            pause = 0.0 if lived > 10 else min(_LONGEST_PAUSE, 2 * pause + 0.1)
            await asyncio.sleep(pause)

    async def _watch(self, process):
        """Kill a worker that stands still."""
        while True:
            await asyncio.sleep(1.0)
            if not self._tasks or not self.is_ready:
                self._heard = time.monotonic()
            elif time.monotonic() - self._heard > _SECONDS_OF_SILENCE:
                self._on_event("worker stands still", level="error", process=process.pid)
                os.kill(process.pid, signal.SIGKILL)

    def _hear(self, header, blobs):
        self._heard = time.monotonic()
        event = header.pop("event", None)
        if event == "ready":
            self.is_ready, self.failure = True, None
            self._steps_before = self.num_steps, self.num_rows
            self._on_event("worker ready", process=self._process.pid, **header)
            for number, task in self._tasks.items():
                self._send(number, task)
        elif event == "alive":
            steps, rows = self._steps_before
            self.num_steps, self.num_rows = steps + header["steps"], rows + header["rows"]
        elif event == "failed":
            self.failure = header["reason"]
        elif event is not None:
            self._on_event(event, **header)
        else:
            self._answer(header, blobs)

    def _answer(self, header, blobs):
        task = self._tasks.pop(header["number"], None)
        if task is None or task.answer.done():
            return  # nobody waits any more
        if "refused" in header:
            task.answer.set_exception(RefusedError(header["refused"]))
        else:
            self._learn(task)
            task.answer.set_result((header["fields"], blobs))

    def _learn(self, task):
        """How fast images leave the queue, for `Retry-After`."""
        taken = self._settings.timeout - max(0.0, task.ends - time.monotonic())
        each = taken / max(1, self.queued + task.cost)
        self._seconds_an_image += 0.1 * (each - self._seconds_an_image)

    def _lose(self):
        """A worker died: requests that saw too many die are given up, others wait for the next."""
        for number, task in list(self._tasks.items()):
            if task.tries >= _MOST_TRIES:
                del self._tasks[number]
                if not task.answer.done():
                    task.answer.set_exception(LostError())

    def _end_process(self):
        process = self._process or (self._started and self._started[0])
        if process is None or process.poll() is not None:
            return
        if self._writer is not None:
            self._writer.close()
        process.kill()
        process.wait()
