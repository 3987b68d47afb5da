"""Messages between the processes of the service: a JSON header and some bytes."""

import json
import struct

_SIZES = struct.Struct("<II")


def pack(header, blobs=()):
    """A message as bytes.

    Args:
        header: dictionary of plain values.
        blobs: list of bytes.
    """
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join([_SIZES.pack(len(text), sum(map(len, blobs))), text, *blobs])


def receive(file):
    """The next (header, blobs) of a binary file; None at its end."""
    sizes = file.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        return None
    length, rest = _SIZES.unpack(sizes)
    content = file.read(length + rest)
    return _parsed(content, length) if len(content) == length + rest else None


async def receive_from(reader):
    """The next (header, blobs) of an `asyncio.StreamReader`.

    Raises:
        EOFError: the other side is gone.
    """
    length, rest = _SIZES.unpack(await reader.readexactly(_SIZES.size))
    return _parsed(await reader.readexactly(length + rest), length)


def _parsed(content, length):
    header = json.loads(content[:length])
    blobs, start = [], length
    for size in header.pop("blobs"):
        blobs.append(content[start : start + size])
        start += size
    return header, blobs
