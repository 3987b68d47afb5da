"""The processes of one training: which one this is, and what they agree on.

One process is the rule. Several train together where JAX was initialised for them
(`keras.distribution.initialize`), or within the scope of TensorFlow's MultiWorkerMirroredStrategy.
"""

from keras_bld.base.backend import largest_of_processes, process

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


def agree_on(number):
    """The largest of all processes' integers; all of them call it, and wait for each other."""
    return number if num_processes() == 1 else largest_of_processes(number)


def all_have(number):
    """Whether all processes have the same integer; all of them call it."""
    return agree_on(number) == -agree_on(-number)
