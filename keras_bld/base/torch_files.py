"""Files written by torch.save, read without torch and without running any code that they hold.

A file is a pickle (`torch_pickle.py`) and the storages of its tensors, in a zip archive or, before
torch 1.6, one after another. Every size is compared with the bytes that are there before it is
believed.
"""

import io
import mmap
import struct

import ml_dtypes
import numpy as np

from keras_bld.base import checks
from keras_bld.base.torch_pickle import Budget, CodeError, Machine, Tensor
from keras_bld.base.zip_files import open_archive

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the format before zip archives
_ZIP_START = b"PK\x03\x04"
# Tensors may be views of one storage; copied, all of them are at most so many times the file.
_MOST_VIEWS, _SMALL = 16, 2**20


def read_torch(path, argument="path", elsewhere=None):
    """Return the object that torch saved: containers, numbers, and tensors as NumPy arrays.

    What is neither (a device, a sparse or quantised tensor) stands there as a
    `torch_pickle.Unsupported`.

    Args:
        path: of the file.
        argument: name of the argument that gave the path, for messages.
        elsewhere: what to do where the file is damaged, such as where to fetch it.

    Raises:
        ValueError: the file is cut short, of another format, compressed, claims more than it
            holds, or holds pickled code.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(len(_ZIP_START))
            content = _read_zip(file) if start == _ZIP_START else _read_stream(file)
            size = file.seek(0, io.SEEK_END)
        return _with_arrays(content, {}, Budget(_MOST_VIEWS * size + _SMALL, "bytes of tensors"))
    except MemoryError:
        raise
    except CodeError as reason:
        raise checks.error(
            argument,
            f"`{path}`, which cannot be read as plain weights: it holds more than tensors"
            f" ({reason})",
            "a file of tensors, as torch.save(model.state_dict(), path) writes it",
            elsewhere
            or "fetch it again; or, where you trust its origin, load it in torch, and save its"
            " state dict alone (this library never runs code out of a checkpoint)",
        ) from reason
    except Exception as reason:  # a broken file brings many kinds
        raise checks.error(
            argument,
            f"`{path}`, which cannot be read as plain weights ({checks.reason_of(reason)})",
            "a whole file of tensors, as torch.save(model.state_dict(), path) writes it",
            elsewhere or "fetch the file again and compare its size with the original",
        ) from reason


def read_arrays(path, argument, elsewhere):
    """Return the mapping of names to NumPy arrays that a file of weights holds.

    Args, errors: as of `read_torch`; also a ValueError where the file holds anything else.
    """
    arrays = read_torch(path, argument, elsewhere)
    plain = isinstance(arrays, dict) and all(
        isinstance(array, np.ndarray) and array.dtype != ml_dtypes.bfloat16
        for array in arrays.values()
    )
    if plain and all(isinstance(name, str) for name in arrays):
        return arrays
    raise checks.error(
        argument,
        f"`{path}`, which holds no mapping of names to plain tensors",
        "a file of tensors, as torch.save(model.state_dict(), path) writes it",
        elsewhere,
    )


def _with_arrays(content, known, budget):
    """The containers of `content` with arrays where its tensors were; each object once."""
    if id(content) not in known:
        found = content
        if isinstance(content, Tensor):
            found = content.array()
        elif isinstance(content, dict):
            found = {key: _with_arrays(value, known, budget) for key, value in content.items()}
        elif isinstance(content, list | tuple):
            found = type(content)(_with_arrays(value, known, budget) for value in content)
        known[id(content)] = found
    if isinstance(content, Tensor):
        budget.spend(known[id(content)].nbytes)
    return known[id(content)]


def _read_zip(file):
    """The object in a zip archive: PREFIX/data.pkl and PREFIX/data/KEY."""
    with open_archive(file) as archive:
        members = archive.namelist()
        programs = [name for name in members if name.endswith("/data.pkl")]
        if len(programs) != 1:
            raise ValueError(f"{len(programs)} files data.pkl in the archive")
        prefix = programs[0].removesuffix("data.pkl")
        if f"{prefix}byteorder" in members and archive.read(f"{prefix}byteorder") != b"little":
            raise ValueError("numbers in an order of bytes other than little end first")
        machine = Machine(
            lambda storage, key: storage.set_values(archive.read(f"{prefix}data/{key}"))
        )
        return machine.run(io.BytesIO(archive.read(programs[0])))


def _read_stream(file):
    """The object in the older format: pickles one after another, then the storages."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        header = [Machine().run(stream) for _ in range(3)]
        if header[:2] != [_MAGIC, _PROTOCOL]:
            raise ValueError("a file of another format")
        machine = Machine()
        content = machine.run(stream)
        for key in Machine().run(stream):
            storage = machine.storages[key]
            (count,) = struct.unpack("<q", stream.read(8))
            if count != storage.count:
                raise ValueError(f"a storage of {count:,} numbers, claimed to be {storage.count:,}")
            storage.set_values(stream.read(storage.num_bytes))
    return content
