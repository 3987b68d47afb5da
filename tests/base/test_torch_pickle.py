import io
import time

import pytest

from keras_bld.base import torch_pickle
from keras_bld.base.torch_pickle import Machine

pytestmark = pytest.mark.once

NUM = 100_000
ORDERED_DICT, SIZE = b"ccollections\nOrderedDict\n", b"ctorch\nSize\n"
LONG_TEXT = b"X" + (10**6).to_bytes(4, "little") + b"a" * 10**6
# Integers of one hash: a dictionary compares each with all before it.
COLLIDING = b"".join(
    b"\x8a\x0b" + (number * (2**61 - 1)).to_bytes(11, "little") + b"K\x01"
    for number in range(1, NUM)
)


def run(program):
    return Machine().run(io.BytesIO(program))


def test_containers_and_numbers():
    assert run(b"\x80\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0b](K\x02\x88eu.") == {"a": 1, "b": [2, True]}
    assert run(b"\x80\x02" + ORDERED_DICT + b"]K\x01K\x02\x86a\x85R.") == {1: 2}


@pytest.mark.parametrize(
    "program",
    [
        b"](" + b"K\x01" * 10 * NUM + b"e.",  # a million numbers; of these are too many
        b"](" + ORDERED_DICT + b"q\1]q\0(" + b"K\1K\2\x86" * NUM + b"e" + b"h\1h\0\x85R" * NUM,
        b"](" + SIZE + b"q\x01(" + b"K\x01" * NUM + b"tq\x00" + b"h\x01h\x00R" * NUM,
        b"(" + b"K\x01" * NUM + b"tq\x00" + b"h\x00Q" * NUM,
        b"}(" + COLLIDING + b"u.",
        b"}(" + LONG_TEXT + b"q\1K\1" + LONG_TEXT + b"q\2K\1" + b"h\2K\1" * NUM + b"u.",
    ],
    ids=["long", "mappings of one list", "calls with one tuple", "storages of one tuple",
         "keys of one hash", "long keys"],
)  # fmt: skip
def test_programs_that_would_run_for_hours_are_refused_in_a_second(program, monkeypatch):
    monkeypatch.setattr(torch_pickle, "_MOST_STEPS", 10**6)
    begun = time.process_time()
    with pytest.raises(ValueError, match="steps of a pickle|not described|a long (int|str) as"):
        run(b"\x80\x02" + program)
    assert time.process_time() - begun < 3
