"""Quiet imports: TensorFlow's C++ log lines, which no setting reaches, are left out."""

import contextlib
import logging
import os
import re
import sys
import tempfile

_STANDARD_ERROR = 2  # the descriptor that C++ writes to
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_QUIET = "3"
_OF_JAX = "1"  # what JAX sets where nothing is; Keras imports it on every backend
# "I0000 00:00:1764.5  42 port.cc:153] ..." of Abseil, and the form of TensorFlow before it.
_LOG_LINE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IWE]\d{4} \d\d:\d\d:\d{2,}\.\d+ +\d+ [\w./]+:\d+\] "
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
)


def silence_tensorflow():
    """Turn TensorFlow's C++ log lines off, unless the environment says how much it logs.

    Returns:
        Whether they are off.
    """
    if "jax" in sys.modules and os.environ.get(LOG_LEVEL) == _OF_JAX:
        del os.environ[LOG_LEVEL]
    return os.environ.setdefault(LOG_LEVEL, _QUIET) == _QUIET


def _flush():
    if sys.stderr is not None:
        sys.stderr.flush()


@contextlib.contextmanager
def without_notes():
    """Leave out what TensorFlow's Python tells by the way, such as where it wrote assets."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def without_log_lines():
    """Leave C++ log lines out of what the block writes to standard error.

    While TensorFlow is being imported it logs whatever its settings say. Everything else appears
    when the block ends.
    """
    _flush()
    try:
        kept = os.dup(_STANDARD_ERROR)
    except OSError:  # closed: nobody reads it
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            written.seek(0)
            lines = (line for line in written if not _LOG_LINE.match(line))
            for line in lines:
                os.write(_STANDARD_ERROR, line)
