"""Data as `fit` takes them: batches of any form, the first of which is looked at."""

import collections.abc
import copy
import typing

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks

# What a dictionary may call its parts; what it holds beside them is passed over.
_IMAGES, _CODES, _PACKED_CODES = "images", "codes", "packed_codes"
_KINDS = {
    **dict.fromkeys(("image", "images", "img"), _IMAGES),
    **dict.fromkeys(("code", "codes"), _CODES),
    "packed_codes": _PACKED_CODES,
    "x": None,
}
_LABELS = ("label", "labels", "y")
_WEIGHTS = ("sample_weight",)


class Batch(typing.NamedTuple):
    """What a batch holds: arrays or tensors, or None; and what x is where a dictionary says so."""

    x: typing.Any
    y: typing.Any = None
    sample_weight: typing.Any = None
    kind: str | None = None

    def as_arrays(self):
        """The same with NumPy arrays."""
        return Batch(*map(as_array, self[:3]), self.kind)


def unpack_batch(data, takes_labels=True):
    """Return the `Batch` of what a dataset, or `fit` itself, gives as one.

    Args:
        data: x, (x,), (x, y), (x, y, sample_weight), or a dictionary of "image" (or "images",
            "codes", "packed_codes") and where there are any "label" and "sample_weight"; x itself
            may be such a dictionary. Arrays or tensors.
        takes_labels: whether the labels of a dictionary are wanted, or left out.

    Raises:
        ValueError: anything else.
    """
    parts = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    if not 1 <= len(parts) <= 3:
        raise _unknown_form(f"a tuple of {len(parts)}")
    x, y, sample_weight = (*parts, None, None)[:3]
    if not isinstance(x, dict):
        return Batch(x, y, sample_weight, None)
    names = [name for name in _KINDS if x.get(name) is not None]
    if len(names) != 1:
        raise _unknown_form(f"a dictionary of {', '.join(map(repr, x)) or 'nothing'}")
    y = _first(x, _LABELS) if y is None and takes_labels else y
    sample_weight = _first(x, _WEIGHTS) if sample_weight is None else sample_weight
    return Batch(x[names[0]], y, sample_weight, _KINDS[names[0]])


def pack_batch(batch):
    """Return a `Batch` as Keras takes it: (x,), (x, y) or (x, y, sample_weight).

    Where it says its kind, or has a weight and no y (Keras would drop the weight), x is a
    dictionary that `unpack_batch` understands.
    """
    x, y, sample_weight, kind = batch
    joined = y is None and sample_weight is not None
    if kind is not None or joined:
        x = {kind or "x": x}
    if joined:
        return ({**x, "sample_weight": sample_weight},)
    return (x, y, sample_weight)[: 1 + (y is not None) + (sample_weight is not None)]


def is_dataset(x):
    """Whether `x` gives batches: no array, tensor, list, tuple or dictionary of them."""
    is_array = isinstance(x, (np.ndarray, list, tuple, dict)) or hasattr(x, "__array__")
    return not (x is None or is_array or ops.is_tensor(x))


def looked_at(data, first_look):
    """Return a dataset like `data`, the first batch of which is looked at where it passes.

    Nothing is read twice and no batch of an iterator is lost, but for a `keras.utils.PyDataset`
    and a `grain.DataLoader`, whose first batch is fetched once more.

    Args:
        data: `tf.data.Dataset`, `grain` dataset or loader, `torch.utils.data.DataLoader`,
            `keras.utils.PyDataset`, a generator or another iterator. Anything else comes back as
            it is.
        first_look: a `FirstLook`.
    """
    if isinstance(data, keras.utils.PyDataset):
        first_look(data[0])
        return _PackedBatches(data, first_look.takes_labels)
    module = _library_of(data)
    if module == "tensorflow" and hasattr(data, "enumerate"):  # a distributed one has none
        from keras_bld.base.tensorflow_batches import looked_at_in_tensorflow

        return looked_at_in_tensorflow(data, first_look)
    if module == "torch":
        return _looked_at_in_torch(data, first_look)
    if module == "grain" and hasattr(data, "map"):
        return data.map(first_look)
    if module == "grain":
        first_look(next(iter(data)))
        return data
    if isinstance(data, collections.abc.Iterator):
        return (first_look(batch) for batch in data)
    return data


class FirstLook:
    """Batch of a dataset -> the same in the form that Keras takes; the first one is looked at.

    Args:
        look: callable (`Batch` of NumPy arrays) that raises where the batch is no good.
        takes_labels: see `unpack_batch`.

    Attributes:
        refusal: the exception that the look ended with, or None: some libraries raise their own.
    """

    def __init__(self, look, takes_labels=True):
        self._look = look
        self.takes_labels = takes_labels
        self._is_done = False
        self.refusal = None

    def __call__(self, batch):
        batch = unpack_batch(batch, self.takes_labels)
        if not self._is_done:
            self.look(batch)
        return pack_batch(batch)

    def look(self, batch):
        """Look at a `Batch` of arrays or tensors."""
        self._is_done = True
        try:
            self._look(batch.as_arrays())
        except Exception as refusal:
            self.refusal = refusal
            raise


class _PackedBatches(keras.utils.PyDataset):
    """A `PyDataset` like another, its batches in the form that Keras takes."""

    def __init__(self, data, takes_labels):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self._data, self._takes_labels = data, takes_labels

    def __getitem__(self, index):
        return pack_batch(unpack_batch(self._data[index], self._takes_labels))

    @property
    def num_batches(self):
        return self._data.num_batches

    def on_epoch_begin(self):
        self._data.on_epoch_begin()

    def on_epoch_end(self):
        self._data.on_epoch_end()


def as_array(part):
    """An array, tensor of any library or list as a NumPy array; None stays None."""
    if part is None:
        return None
    if hasattr(part, "detach"):  # torch
        part = part.detach().cpu()
        return (part.float() if "bfloat16" in str(part.dtype) else part).numpy()
    array = np.asarray(part)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _library_of(data):
    """Which library a dataset is of, by the modules of its classes: none is imported to ask."""
    for parent in type(data).__mro__:
        library = parent.__module__.split(".")[0]
        if library in ("tensorflow", "torch", "grain"):
            return library
    return None


def _looked_at_in_torch(loader, first_look):
    """A `DataLoader` like another. Keras would take the rows of a bare batch for its parts."""

    class LookedAt(type(loader)):
        def __iter__(self):
            return map(first_look, super().__iter__())

    loader = copy.copy(loader)
    loader.__class__ = LookedAt
    loader._iterator = None  # workers that stay belong to the other one
    return loader


def _first(parts, names):
    return next((parts[name] for name in names if parts.get(name) is not None), None)


def _unknown_form(received):
    return checks.error(
        "x",
        f"batches that are {received}",
        "images, codes or packed codes alone, (x, y), (x, y, sample_weight), or a dictionary with"
        " one of " + ", ".join(map(repr, _KINDS)) + f" and, for labels, {_LABELS[0]!r}",
        "map the dataset to one of these forms",
    )
