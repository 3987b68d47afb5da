"""How much memory a program may have, as the system and the backend say."""

import os
import pathlib

from keras_bld.base.backend import device_bytes, runs_on_cpu

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Words in which backends say that there was not enough.
_WORDS = ("out of memory", "resource_exhausted", "failed to allocate", "oom when allocating")


def available_bytes():
    """Bytes of the device that the backend trains on, all of them; None where nobody says."""
    if not runs_on_cpu():
        return device_bytes()
    found = []
    try:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        pass
    for path in map(pathlib.Path, _CGROUP_LIMITS):  # of a container
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # "max"
            continue
    return min(found, default=None)


def is_out_of_memory(error):
    """Whether an exception of a backend says that memory did not suffice."""
    words = f"{type(error).__name__} {error}".lower().replace("resourceexhausted", _WORDS[1])
    return isinstance(error, MemoryError) or any(word in words for word in _WORDS)
