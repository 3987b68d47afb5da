"""Files written by torch.save, read without torch and without running any code that they hold.

A file is a pickle, a program for a small machine, and the storages of its tensors. The machine here
knows containers, numbers and tensors, and nothing else; every size is compared with the bytes that
are there before it is believed.
"""

import io
import mmap
import pickletools
import struct
import zipfile
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from keras_bld.base import checks

_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# Bytes of a number of storages that are no plain arrays.
_OTHER_SIZES = {
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
    "QInt8Storage": 1,
    "QUInt8Storage": 1,
    "QInt32Storage": 4,
    "UntypedStorage": 1,
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the format before zip archives
_ZIP_START = b"PK\x03\x04"
_KEYS = (str, int, float, bool, bytes, type(None))
# Their other classes and functions are left out, uncalled.
_MODULES_OF_TORCH = ("torch", "torch._utils", "torch.storage", "torch.serialization")
_HARMLESS = {("_codecs", "encode"), ("builtins", "set"), ("__builtin__", "set")}
_TENSOR_FUNCTIONS = ("_rebuild_tensor", "_rebuild_tensor_v2")
_MAPPINGS = ("OrderedDict", "Counter")


def read_torch(path, argument="path", elsewhere=None):
    """Return the object that torch saved: containers, numbers, and tensors as NumPy arrays.

    What is neither (a device, a sparse or quantised tensor) stands there as an `Unsupported`.

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
            return _with_arrays(content, {})
    except MemoryError:
        raise
    except _CodeError as reason:
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


class _CodeError(Exception):
    """The file asks for a function or class that is not one of tensors."""


class Unsupported:
    """Something in a file of torch that is no plain tensor."""


@dataclass(eq=False)
class _Storage:
    """A run of numbers; `values` is None until they are read."""

    kind: str
    count: int
    values: np.ndarray | None = None
    root: "_Storage | None" = None
    start: int = 0

    @property
    def is_plain(self):
        """Whether NumPy has such numbers."""
        return self.kind in _DTYPES

    @property
    def num_bytes(self):
        """Size of the whole."""
        size = np.dtype(_DTYPES[self.kind]).itemsize if self.is_plain else _OTHER_SIZES[self.kind]
        return self.count * size

    def set_values(self, content):
        """Take the bytes of the storage."""
        if len(content) != self.num_bytes:
            received, claimed = len(content), self.num_bytes
            raise ValueError(f"a storage of {received:,} bytes where {claimed:,} are claimed")
        if self.is_plain:
            self.values = np.frombuffer(content, _DTYPES[self.kind])

    def all_values(self):
        """Array of shape (count,)."""
        if self.root is not None:
            return self.root.all_values()[self.start : self.start + self.count]
        if self.values is None:
            raise ValueError("a storage without data")
        return self.values


@dataclass(eq=False)
class _Tensor:
    """A tensor as the pickle describes it."""

    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self):
        """The tensor's values: a view of its storage, which may be that of others, too."""
        values = self.storage.all_values()[self.offset :]
        strides = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, strides, writeable=False)


def _make_tensor(storage, offset, shape, strides, *_):
    """A `_Tensor` that lies inside its storage and has no more numbers than that."""
    if isinstance(storage, _Storage) and not storage.is_plain:
        return Unsupported()
    numbers = (offset, *shape, *strides)
    whole = all(type(number) is int and 0 <= number < 2**48 for number in numbers)
    if not whole or not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise ValueError("a tensor of impossible sizes")
    if len(shape) > 32:
        raise ValueError(f"a tensor of {len(shape)} axes")
    count = 1
    for size in shape:
        count *= size
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if count and (last >= storage.count or count > storage.count):
        raise ValueError(f"a tensor of shape {shape} in a storage of {storage.count:,} numbers")
    return _Tensor(storage, offset if count else 0, tuple(shape), tuple(strides))


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


def _read_zip(file):
    """The object in a zip archive: PREFIX/data.pkl and PREFIX/data/KEY."""
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise ValueError("a compressed archive, which torch.save never writes")
        if sum(member.file_size for member in archive.infolist()) > size:
            raise ValueError("an archive that claims more than the file holds")
        programs = [name for name in members if name.endswith("/data.pkl")]
        if len(programs) != 1:
            raise ValueError(f"{len(programs)} files data.pkl in the archive")
        prefix = programs[0].removesuffix("data.pkl")
        if f"{prefix}byteorder" in members and archive.read(f"{prefix}byteorder") != b"little":
            raise ValueError("numbers in an order of bytes other than little end first")
        machine = _Machine(
            lambda storage, key: storage.set_values(archive.read(f"{prefix}data/{key}"))
        )
        return machine.run(io.BytesIO(archive.read(programs[0])))


def _read_stream(file):
    """The object in the older format: pickles one after another, then the storages."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        header = [_Machine().run(stream) for _ in range(3)]
        if header[:2] != [_MAGIC, _PROTOCOL]:
            raise ValueError("a file of another format")
        machine = _Machine()
        content = machine.run(stream)
        for key in _Machine().run(stream):
            storage = machine.storages[key]
            (count,) = struct.unpack("<q", stream.read(8))
            if count != storage.count:
                raise ValueError(f"a storage of {count:,} numbers, claimed to be {storage.count:,}")
            storage.set_values(stream.read(storage.num_bytes))
    return content


class _Machine:
    """Runs a pickle that makes containers, numbers and tensors.

    Args:
        read_values: callable (storage, key) that fills a storage when it is named; None where
            that comes later.
    """

    def __init__(self, read_values=None):
        self.storages = {}
        self._read_values = read_values
        self._stack, self._marks, self._memo = [], [], {}

    def run(self, stream):
        """The object that the next pickle of a stream makes."""
        start = stream.tell()
        for operation, argument, _ in pickletools.genops(stream):
            name = operation.name
            if name == "STOP":
                (result,) = self._stack
                return result
            if name in _ACTIONS:
                _ACTIONS[name](self, argument)
            elif argument is not None and operation.stack_after and not operation.stack_before:
                self._stack.append(argument)  # a number or a text
            elif name not in ("PROTO", "FRAME"):
                raise _CodeError(f"the instruction {name} at byte {start}")
        raise ValueError("a pickle without an end")

    def pop_to_mark(self):
        """What was put on the stack since the last mark."""
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def take(self, count):
        """The last `count` items of the stack, removed."""
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) - floor < count:
            raise ValueError("a pickle that takes what is not there")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def put(self, item):
        """Put an item on the stack."""
        self._stack.append(item)

    def mark(self):
        """Remember where the stack ends."""
        self._marks.append(len(self._stack))

    def top(self):
        """The last item, left there."""
        (item,) = self.take(1)
        self.put(item)
        return item

    def memorise(self, number=None):
        """Keep the last item under a number, by default the next free one."""
        self._memo[len(self._memo) if number is None else number] = self.top()

    def recall(self, number):
        """Put what was kept under a number."""
        self.put(self._memo[number])

    def fill(self, items):
        """Put pairs into the mapping, or items into the list, below them."""
        target = self.top()
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                if not isinstance(key, _KEYS):
                    raise ValueError(f"a {type(key).__name__} as the key of a dictionary")
                target[key] = value
        elif isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Unsupported):
            raise ValueError(f"items for a {type(target).__name__}")

    def find(self, module, name):
        """Put the function of a name."""
        if module == "collections" and name in _MAPPINGS:
            self.put(_make_mapping)
        elif module == "torch._utils" and name in _TENSOR_FUNCTIONS:
            self.put(_make_tensor)
        elif (module, name) == ("torch._utils", "_rebuild_parameter"):
            self.put(_first)
        elif (module, name) == ("torch", "Size"):
            self.put(_first)  # a tuple of sizes
        elif module in ("torch", "torch.storage") and (name in _DTYPES or name in _OTHER_SIZES):
            self.put(_StorageType(name))
        elif module in _MODULES_OF_TORCH or (module, name) in _HARMLESS:
            self.put(Unsupported())
        else:
            raise _CodeError(f"{module}.{name}")

    def call(self):
        """Call one of the functions above."""
        function, arguments = self.take(2)
        if isinstance(function, Unsupported):
            self.put(Unsupported())
        elif function in (_make_mapping, _make_tensor, _first):
            self.put(function(*arguments))
        else:
            raise _CodeError("a call of what is no function")

    def build(self):
        """Leave the attributes of an object out."""
        target, _ = self.take(2)
        self.put(target)

    def storage(self):
        """Put the storage that a tuple describes."""
        (described,) = self.take(1)
        word, kind, key, _, count, *view = described
        if word != "storage" or type(count) is not int or not 0 <= count < 2**48:
            raise ValueError("a storage of an impossible size")
        if not isinstance(kind, _StorageType) or not isinstance(key, str):
            raise ValueError("a storage of an unknown kind")
        if key not in self.storages:
            self.storages[key] = _Storage(kind.name, count)
            if self._read_values is not None:
                self._read_values(self.storages[key], key)
        storage = self.storages[key]
        if storage.kind != kind.name:
            raise ValueError("a storage of two kinds")
        if view and view[0] is not None:
            _, start, length = view[0]
            numbers = all(type(number) is int and number >= 0 for number in (start, length))
            if not numbers or start + length > storage.count:
                raise ValueError("a view that is larger than its storage")
            storage = _Storage(storage.kind, length, None, storage, start)
        self.put(storage)


@dataclass(frozen=True)
class _StorageType:
    name: str


def _make_mapping(items=()):
    mapping = {}
    for key, value in items:
        if not isinstance(key, _KEYS):
            raise ValueError(f"a {type(key).__name__} as the key of a dictionary")
        mapping[key] = value
    return mapping


def _first(value, *_):
    return value


def _tuple(machine, count):
    machine.put(tuple(machine.take(count)) if count else ())


# Instruction -> what it does, given the machine and its argument.
_ACTIONS = {
    "MARK": lambda machine, _: machine.mark(),
    "NONE": lambda machine, _: machine.put(None),
    "NEWTRUE": lambda machine, _: machine.put(True),
    "NEWFALSE": lambda machine, _: machine.put(False),
    "EMPTY_DICT": lambda machine, _: machine.put({}),
    "EMPTY_LIST": lambda machine, _: machine.put([]),
    "EMPTY_SET": lambda machine, _: machine.put(Unsupported()),
    "EMPTY_TUPLE": lambda machine, _: machine.put(()),
    "TUPLE": lambda machine, _: machine.put(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "LIST": lambda machine, _: machine.put(machine.pop_to_mark()),
    "APPEND": lambda machine, _: machine.fill(machine.take(1)),
    "APPENDS": lambda machine, _: machine.fill(machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine.fill(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.fill(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.fill(machine.pop_to_mark()),
    "BINPUT": lambda machine, number: machine.memorise(number),
    "LONG_BINPUT": lambda machine, number: machine.memorise(number),
    "MEMOIZE": lambda machine, _: machine.memorise(),
    "BINGET": lambda machine, number: machine.recall(number),
    "LONG_BINGET": lambda machine, number: machine.recall(number),
    "GLOBAL": lambda machine, name: machine.find(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.take(2)),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.storage(),
}
