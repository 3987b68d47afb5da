"""JSON files, read as files that may be damaged: bounded, and every field of its kind."""

import json
import math
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

from keras_bld.base import checks

# Far above what this library writes. Each value costs up to a hundred bytes of memory.
LARGEST_BYTES = 64 * 2**20
MOST_VALUES = 2**21
DEEPEST = 100
_LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class Kind:
    """What a field may hold.

    Attributes:
        words: description for messages, such as "a text".
        holds: callable (value) -> whether it is of this kind.
    """

    words: str
    holds: Callable[[object], bool]


TEXT = Kind("a text", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
RECORD = Kind("a dictionary", lambda value: isinstance(value, dict))


def whole(minimum=0, maximum=_LARGEST_WHOLE):
    """The kind of integers in [minimum, maximum]."""
    return Kind(
        f"an integer in [{minimum}, {maximum}]",
        lambda value: type(value) is int and minimum <= value <= maximum,
    )


def number(minimum=-math.inf):
    """The kind of finite numbers >= `minimum`."""

    def holds(value):
        return type(value) in (int, float) and abs(value) <= 1e300 and value >= minimum

    return Kind("a finite number" if minimum == -math.inf else f"a number >= {minimum}", holds)


def exactly(value):
    """The kind of one value."""
    return Kind(repr(value), lambda other: type(other) is type(value) and other == value)


def none_or(kind):
    """The kind that may also be null."""
    return Kind(f"{kind.words}, or null", lambda value: value is None or kind.holds(value))


def list_of(kind, length=None):
    """The kind of lists of one kind of items."""
    count = "" if length is None else f"{length} items, each "
    return Kind(
        f"a list of {count}{kind.words}",
        lambda value: (
            isinstance(value, list) and length in (None, len(value)) and all(map(kind.holds, value))
        ),
    )


def check_fields(content, required, optional=None):
    """What is wrong with a dictionary's fields, in words; None where nothing is.

    Args:
        content: dict.
        required: {name: Kind}.
        optional: the same, of fields that may be missing.
    """
    for name, kind in {**required, **(optional or {})}.items():
        if name not in content:
            if name in required:
                return f"no `{name}` ({kind.words})"
        elif not kind.holds(content[name]):
            return f"`{name}` {checks.short(content[name])}, not {kind.words}"
    return None


def read_json(path, argument, expected, fix, required=None, optional=None):
    """Return the dictionary in a JSON file.

    Args:
        path: of the file.
        argument, expected, fix: for the error message, see `checks.error`.
        required, optional: {name: Kind} of its fields; fields with other names are free.

    Raises:
        ValueError: a file that is no JSON, too large or too deep, holds no dictionary, or has
            fields that are missing or of another kind.
        OSError: the file cannot be opened.
    """
    try:
        content = _parse(pathlib.Path(path))
        received = (
            check_fields(content, required or {}, optional)
            if isinstance(content, dict)
            else "JSON that is not a dictionary"
        )
    except (ValueError, RecursionError) as reason:
        received = f"a file that is not JSON ({checks.reason_of(reason)})"
    if received is None:
        return content
    raise checks.error(argument, f"`{path}`: {received}", expected, fix)


def _parse(path):
    with open(path, "rb") as file:
        return parse_json(file.read(LARGEST_BYTES + 1))


def parse_json(content):
    """Return what the bytes of a JSON file say.

    Raises:
        ValueError, RecursionError: no JSON, too large, or too deep.
    """
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"more than {LARGEST_BYTES:,} bytes")
    # Every value follows one of these.
    if sum(content.count(mark) for mark in b",[{:") > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values")
    parsed = json.loads(content.decode("utf-8"))
    _check_depth(parsed)
    return parsed


def _check_depth(content):
    level = [content]
    for _ in range(DEEPEST):
        level = [
            item
            for node in level
            if isinstance(node, (dict, list))
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {DEEPEST} levels")
