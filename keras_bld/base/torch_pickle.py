"""The pickles in files of torch, run by a machine that makes containers, numbers and tensors.

A pickle is a program for a small machine. The one here knows no other objects, calls nothing of
Python, and ends after so many steps.
"""

import pickletools
from dataclasses import dataclass

import ml_dtypes
import numpy as np

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
_KEYS = (str, int, float, bool, bytes, type(None))
# Keys of dictionaries: to compare long texts takes long, and larger integers collide on purpose.
_LONGEST_KEY, _LARGEST_KEY = 2**16, 2**60
# Instructions of a pickle, and items that they look at: seconds. A tensor takes about 40.
_MOST_STEPS = 8_000_000
_MOST_AXES = 32
# Their other classes and functions are left out, uncalled.
_MODULES_OF_TORCH = ("torch", "torch._utils", "torch.storage", "torch.serialization")
_HARMLESS = {("_codecs", "encode"), ("builtins", "set"), ("__builtin__", "set")}
_TENSOR_FUNCTIONS = ("_rebuild_tensor", "_rebuild_tensor_v2")
_MAPPINGS = ("OrderedDict", "Counter")


class CodeError(Exception):
    """The file asks for a function or class that is not one of tensors."""


class Budget:
    """What a file may cost in all."""

    def __init__(self, most, unit):
        self._most, self._unit, self._spent = most, unit, 0

    def spend(self, count):
        """Count; raise ValueError above the bound."""
        self._spent += count
        if self._spent > self._most:
            raise ValueError(f"more than {self._most:,} {self._unit}")


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
class Tensor:
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
    """A `Tensor` that lies inside its storage and has no more numbers than that."""
    if isinstance(storage, _Storage) and not storage.is_plain:
        return Unsupported()
    if len(shape) > _MOST_AXES:
        raise ValueError(f"a tensor of {len(shape)} axes")
    numbers = (offset, *shape, *strides)
    whole = all(type(number) is int and 0 <= number < 2**48 for number in numbers)
    if not whole or not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise ValueError("a tensor of impossible sizes")
    count = 1
    for size in shape:
        count *= size
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if count and (last >= storage.count or count > storage.count):
        raise ValueError(f"a tensor of shape {shape} in a storage of {storage.count:,} numbers")
    return Tensor(storage, offset if count else 0, tuple(shape), tuple(strides))


class Machine:
    """Runs a pickle that makes containers, numbers and tensors.

    Args:
        read_values: callable (storage, key) that fills a storage when it is named; None where
            that comes later.
    """

    def __init__(self, read_values=None):
        self.storages = {}
        self._read_values = read_values
        self._stack, self._marks, self._memo = [], [], {}
        self._budget = Budget(_MOST_STEPS, "steps of a pickle")

    def run(self, stream):
        """The object that the next pickle of a stream makes."""
        start = stream.tell()
        for operation, argument, _ in pickletools.genops(stream):
            name = operation.name
            self._budget.spend(1)
            if name == "STOP":
                (result,) = self._stack
                return result
            if name in _ACTIONS:
                _ACTIONS[name](self, argument)
            elif argument is not None and operation.stack_after and not operation.stack_before:
                self._stack.append(argument)  # a number or a text
            elif name not in ("PROTO", "FRAME"):
                raise CodeError(f"the instruction {name} at byte {start}")
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
                target[_checked_key(key)] = value
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
            raise CodeError(f"{module}.{name}")

    def call(self):
        """Call one of the functions above."""
        function, arguments = self.take(2)
        if isinstance(function, Unsupported):
            self.put(Unsupported())
        elif function in (_make_mapping, _make_tensor, _first) and isinstance(arguments, tuple):
            # The same list may be an argument again and again.
            containers = [item for item in arguments if isinstance(item, list | tuple | dict)]
            self._budget.spend(len(arguments) + sum(map(len, containers)))
            self.put(function(*arguments))
        else:
            raise CodeError("a call of what is no function")

    def build(self):
        """Leave the attributes of an object out."""
        target, _ = self.take(2)
        self.put(target)

    def storage(self):
        """Put the storage that a tuple describes."""
        (described,) = self.take(1)
        if not isinstance(described, tuple) or len(described) not in (5, 6):
            raise ValueError("a storage that is not described")
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
        mapping[_checked_key(key)] = value
    return mapping


def _checked_key(key):
    is_long = isinstance(key, str | bytes) and len(key) > _LONGEST_KEY
    is_large = isinstance(key, int) and abs(key) >= _LARGEST_KEY
    if not isinstance(key, _KEYS) or is_long or is_large:
        size = "long " if is_long or is_large else ""
        raise ValueError(f"a {size}{type(key).__name__} as the key of a dictionary")
    return key


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
