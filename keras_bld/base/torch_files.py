"""Files written by torch, read without torch and without running any code that they hold.

A file of `torch.save` is a pickle of containers whose tensors name storages, and the raw bytes of
those storages: in a zip archive, or, before torch 1.6, one after the other behind the pickle. The
pickle may name nothing but the few functions below, which describe tensors.
"""

import dataclasses
import math
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np

from keras_bld.base import checks

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _Refused(ValueError):
    """What makes a file unreadable, in words for the message."""


class _ForeignCode(_Refused):
    """The pickle names a class or function that is none of torch's tensors."""


def read_torch(path, argument="path", elsewhere=None):
    """Return the object that torch saved: containers, numbers, and tensors as NumPy arrays.

    Args:
        path: of the file.
        argument: name of the argument that gave the path, for messages.
        elsewhere: what to do where the file is damaged, such as where to fetch it.

    Raises:
        ValueError: the file is cut short, of another format, or holds pickled code.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if zipfile.is_zipfile(file):
                return _read_zip(file, size)
            file.seek(0)
            return _read_legacy(file, size)
    except _ForeignCode as error:
        raise checks.error(
            argument,
            f"`{path}`, which is no file of plain weights: it holds more than tensors ({error})",
            "a file of tensors, as torch.save(model.state_dict(), path) writes it",
            elsewhere
            or "fetch it again; or, where you trust its origin, load it in torch, and save its"
            " state dict alone (this library never runs code out of a checkpoint)",
        ) from error
    except Exception as error:  # a broken pickle or archive raises many kinds
        raise checks.error(
            argument,
            f"`{path}`, which is cut short or of another format ({_first_line(error)})",
            "a whole file written by torch.save",
            elsewhere or "fetch the file again and compare its size with the original",
        ) from error


def read_arrays(path, argument, elsewhere):
    """Return the mapping of names to NumPy arrays that a file of weights holds.

    Args, errors: as of `read_torch`; also a ValueError where the file holds anything else.
    """
    arrays = read_torch(path, argument, elsewhere)
    plain = isinstance(arrays, dict) and all(
        isinstance(array, np.ndarray) and array.dtype != ml_dtypes.bfloat16
        for array in arrays.values()
    )
    if not plain:
        raise checks.error(
            argument,
            f"`{path}`, which holds no mapping of names to plain tensors",
            "a file of tensors, as torch.save(model.state_dict(), path) writes it",
            elsewhere,
        )
    return arrays


@dataclasses.dataclass
class _Storage:
    """A storage as the pickle names it; `array` once its bytes are read."""

    key: str
    dtype: np.dtype
    length: int
    array: np.ndarray | None = None

    @property
    def num_bytes(self):
        """Of all its numbers."""
        return self.length * self.dtype.itemsize

    def read(self, file):
        """Take the numbers from an open file."""
        self.array = np.zeros(0, self.dtype)
        if self.length:
            self.array = np.frombuffer(file.read(self.num_bytes), self.dtype, self.length)


@dataclasses.dataclass
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self):
        """The tensor's values: a view of its storage, which may be that of others, too."""
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or not all(map(_is_count, numbers)):
            raise _Refused(f"a tensor of shape {self.shape} and strides {self.strides}")
        count = math.prod(self.shape)
        if not count:
            return np.zeros(self.shape, self.storage.dtype)
        steps = zip(self.shape, self.strides, strict=True)
        end = self.offset + 1 + sum((size - 1) * stride for size, stride in steps)
        # The second: a stride of 0 would make many values of one.
        if end > self.storage.length or count > self.storage.length:
            raise _Refused(f"a tensor of shape {self.shape} in {self.storage.length} numbers")
        strides = tuple(stride * self.storage.dtype.itemsize for stride in self.strides)
        values = self.storage.array[self.offset :]
        return np.lib.stride_tricks.as_strided(values, self.shape, strides, writeable=False)


class _Unpickler(pickle._Unpickler):
    """Containers, numbers and descriptions of tensors.

    The one in Python: the one in C allocates what a pickle claims to need.
    """

    dispatch = dict(pickle._Unpickler.dispatch)
    del dispatch[pickle.BYTEARRAY8[0]]

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.storages = {}

    def find_class(self, module, name):
        """A kind of storage by its name, or one of three functions; nothing else is known."""
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return name
        known = {
            ("collections", "OrderedDict"): dict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("torch", "Size"): tuple,
        }
        if (module, name) not in known:
            raise _ForeignCode(f"`{module}.{name}`")
        return known[module, name]

    def persistent_load(self, reference):
        """The storage that a tensor refers to."""
        kind, name, key, _, length, *view = reference
        if kind != "storage" or name not in _DTYPES or not _is_count(length) or any(view):
            raise _Refused(f"a reference to {reference!r}")
        return self.storages.setdefault(key, _Storage(key, np.dtype(_DTYPES[name]), length))

    def load_build(self):
        """Leave out what is set on an object; torch sets `_metadata` on state dicts alone."""
        self.stack.pop()

    dispatch[pickle.BUILD[0]] = load_build


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _is_count(number):
    return type(number) is int and number >= 0


def _read_zip(file, size):
    with zipfile.ZipFile(file) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")

        def record(name):
            entry = archive.getinfo(folder + name)
            # torch stores plainly; what is compressed could be of any size.
            if entry.compress_type != zipfile.ZIP_STORED:
                raise _Refused(f"`{name}` compressed")
            return archive.open(entry)

        if folder + "byteorder" in archive.namelist():
            with record("byteorder") as order:
                if order.read() != b"little":
                    raise _Refused("numbers with the big end first")
        with record("data.pkl") as data:
            unpickler = _Unpickler(data)
            content = unpickler.load()
        for storage in _all_in(size, unpickler.storages.values()):
            with record(f"data/{storage.key}") as data:
                storage.read(data)
    return _with_arrays(content, {})


def _read_legacy(file, size):
    magic, protocol, system = (_Unpickler(file).load() for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL or not system["little_endian"]:
        raise _Refused("no file of torch")
    unpickler = _Unpickler(file)
    content = unpickler.load()
    keys = _Unpickler(file).load()
    for storage in _all_in(size, [unpickler.storages[key] for key in keys]):
        (length,) = struct.unpack("<q", file.read(8))
        if length != storage.length:
            raise _Refused(f"{length} numbers in a storage, not {storage.length}")
        storage.read(file)
    return _with_arrays(content, {})


def _all_in(size, storages):
    """The storages, if a file of `size` bytes can hold them all."""
    needed = sum(storage.num_bytes for storage in storages)
    if needed > size:
        raise _Refused(f"{needed} bytes of numbers in a file of {size}")
    return storages


def _with_arrays(content, known):
    """The containers of `content` with arrays where its tensors were; each object once."""
    if id(content) not in known:
        found = content
        if isinstance(content, _Tensor):
            found = content.array()
        elif isinstance(content, dict):
            found = {key: _with_arrays(value, known) for key, value in content.items()}
        elif isinstance(content, list | tuple):
            found = type(content)(_with_arrays(value, known) for value in content)
        known[id(content)] = found
    return known[id(content)]


def _first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
