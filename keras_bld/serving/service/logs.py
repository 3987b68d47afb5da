"""The log: a JSON object a line on standard error."""

import datetime
import json
import logging
import sys
import threading

_writing = threading.Lock()


def log(event, level="info", **fields):
    """Write a line.

    Args:
        event: what happened, in a few fixed words.
        level: "info", "warning" or "error".
        **fields: plain values.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "level": level, "event": event, **fields}, default=str)
    with _writing:
        print(line, file=sys.stderr, flush=True)


class _JsonHandler(logging.Handler):
    def emit(self, record):
        fields = {"message": record.getMessage(), "logger": record.name}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        log("message", record.levelname.lower(), **fields)


def take_over(name):
    """Let a logger of a library, its warnings and errors, write to this log."""
    logger = logging.getLogger(name)
    logger.handlers, logger.propagate = [_JsonHandler()], False
    logger.setLevel(logging.WARNING)
