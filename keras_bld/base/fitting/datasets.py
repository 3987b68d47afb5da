"""Data as `fit` takes them: batches of any form, the first of which is looked at."""

import collections.abc
import copy

import keras
import numpy as np
from keras import ops

from keras_bld.base.batch_forms import pack_batch, unpack_batch


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
        from keras_bld.base.fitting.tensorflow_batches import looked_at_in_tensorflow

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
