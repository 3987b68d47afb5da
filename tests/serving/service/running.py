"""A service in a process of its own, and clients of it."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time

from harness import PROJECT_ROOT

_LONGEST_START = 120.0


class RunningService:
    """`keras-bld serve` on a free port, until `stop`.

    Args:
        preset: what it serves.
        options: further words of the command line.
        environment: further variables.
    """

    def __init__(self, preset, *options, **environment):
        command = [sys.executable, "-m", "keras_bld", "serve", str(preset), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT_ROOT,
            env={**os.environ, **environment},
        )
        self.log = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = self.event("listening")["port"]

    def _read(self):
        for line in self.process.stderr:
            self.log.append(json.loads(line) if line.startswith("{") else {"event": line})

    def event(self, name, skip=0):
        """The first line of the log about this, or a later one; waited for."""
        end = time.monotonic() + _LONGEST_START
        while time.monotonic() < end:
            found = [line for line in self.log if line["event"] == name]
            if len(found) > skip:
                return found[skip]
            assert self.process.poll() is None, self.log
            time.sleep(0.02)
        raise AssertionError(f"no {name} in {self.log}")

    def worker(self, skip=0):
        """The process of the worker, where it is ready."""
        return self.event("worker ready", skip)["process"]

    def ask(self, method, path, body=None, raw=None, timeout=60, **headers):
        """(status, headers, body) of an answer; a JSON body is parsed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        content = json.dumps(body).encode() if raw is None and body is not None else raw
        if content is not None:
            headers = {"content-type": "application/json", **headers}
        try:
            connection.request(
                method, path, content, {k.replace("_", "-"): v for k, v in headers.items()}
            )
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        if answer.headers.get("content-type") == "application/json":
            found = json.loads(found)
        return answer.status, dict(answer.headers.items()), found

    def post(self, path, **body):
        """The parsed answer to a body that is all right."""
        status, _, answer = self.ask("POST", path, body)
        assert status == 200, answer
        return answer

    def stop(self):
        """End it as an operator does; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._reader.join(10)
        self.process.stderr.close()
        return status

    def metrics(self):
        """Name with labels -> value of /metrics."""
        text = self.ask("GET", "/metrics")[2].decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


def load(port, num_clients, seconds, body, path="/v1/generate"):
    """Clients that ask one after the other, each on its own connection.

    Args:
        body: callable (client, request) -> body.

    Returns:
        (statuses, seconds of those with 200), each a list.
    """
    statuses, times = [], []
    end = time.monotonic() + seconds

    async def client(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.monotonic() < end:
            content = json.dumps(body(number, count)).encode()
            count += 1
            begun = time.monotonic()
            writer.write(
                f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                f"content-length: {len(content)}\r\n\r\n".encode()
                + content
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            statuses.append(int(head.split()[1]))
            if statuses[-1] == 200:
                times.append(time.monotonic() - begun)
            else:
                await asyncio.sleep(min(float(fields.get("retry-after", 0)), 1.0))
        writer.close()

    async def clients():
        await asyncio.gather(*(client(number) for number in range(num_clients)))

    asyncio.run(clients())
    return statuses, times


def memory_of(process):
    """Bytes that a process has in memory alone, by its number."""
    with open(f"/proc/{process}/smaps_rollup") as file:
        (line,) = [line for line in file if line.startswith("Pss:")]
    return int(line.split()[1]) * 1024
