"""The processes of one training: which one this is, and what they agree on.

One process is the rule. Several train together where JAX was initialised for them
(`keras.distribution.initialize`), or within the scope of TensorFlow's MultiWorkerMirroredStrategy.
"""

import os
import sys
import traceback

from keras_bld.base.backend import (
    has_joined,
    largest_of_processes,
    leave_processes_within,
    process,
)

SECONDS_TO_LEAVE = 5.0
_parted: list[bool] = []


def is_chief():
    """Whether this is the process that writes files and says what happens."""
    return bool(_parted) or process()[0] == 0


def num_processes():
    """How many processes train together."""
    return 1 if _parted else process()[1]


def part():
    """From here on this process is alone, whatever the backend remembers of others."""
    _parted.append(True)


def leave(error):
    """Part with the others before this exception ends the program; nothing where there are none.

    All may be ending: they were told to stop together, or share the error. So each waits for the
    others, and its program ends as usual. Where they do not come within `SECONDS_TO_LEAVE`, this
    process ends without them.

    Args:
        error: the exception; what it has to say is said before the others are waited for.

    Raises:
        SystemExit: with the code that the exception stands for.
    """
    if not has_joined():
        return
    code = _say_how_it_ends(error)
    if not leave_processes_within(SECONDS_TO_LEAVE):
        os._exit(code)  # what the backend does at the end of a program would wait on
    raise SystemExit(code) from error


def _say_how_it_ends(error):
    """Print what Python prints for an exception that nobody catches; the code it ends with."""
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif isinstance(error.code, str):
        print(error.code, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    code = getattr(error, "code", 1)
    return code if isinstance(code, int) else int(code is not None)


def agree_on(number):
    """The largest of all processes' integers; all of them call it, and wait for each other."""
    return number if num_processes() == 1 else largest_of_processes(number)


def all_have(number):
    """Whether all processes have the same integer; all of them call it."""
    return agree_on(number) == -agree_on(-number)
