"""The HTTP process: a socket, a worker, and uvicorn between them."""

import os
import signal
import socket

from keras_bld.base import checks
from keras_bld.serving.service.logs import log, take_over
from keras_bld.serving.service.supervisor import Supervisor, start_worker

_MOST_CONNECTIONS = 2000


def listen(host, port):
    """A socket that listens on an address, bound before anything that takes time.

    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as reason:
        bound.close()
        raise checks.error(
            "port", f"{host} port {port} ({reason.strerror})", "an address that is free here",
            "choose another with --port; 0 takes a free one", OSError,
        ) from reason  # fmt: skip
    return bound


def serve(program, settings, bound, api_key=None):
    """Serve until SIGTERM or SIGINT; requests that are there are still answered.

    Args:
        program: a `Program`.
        settings: `ServiceSettings`.
        bound: socket of `listen`.
        api_key: what requests must bring, or None.
    """
    started = start_worker(program, settings)  # it compiles while this process imports
    import uvicorn

    from keras_bld.serving.service.app import Service

    def on_event(event, level="info", **fields):
        if event == "worker ready":
            fields["seconds_since_start"] = round(_seconds_of_life(), 2)
        log(event, level, **fields)

    service = Service(program, settings, Supervisor(program, settings, started, on_event), api_key)
    take_over("uvicorn")
    take_over("asyncio")
    host, port = bound.getsockname()[:2]
    log("listening", host=host, port=port, preset=program.description["preset"])
    if api_key is None and host not in ("127.0.0.1", "::1"):
        log("no API key: everybody who reaches this address may ask", level="warning")
    config = uvicorn.Config(
        service.application(),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        loop="asyncio",
        http="h11",
        lifespan="on",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=round(settings.timeout) + 1,
    )
    # uvicorn ends what runs, and then raises the signal that it got again.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[bound])
    log("ended")


def _seconds_of_life():
    """Since this process was started, its interpreter and imports included."""
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    with open("/proc/uptime") as file:
        return float(file.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
