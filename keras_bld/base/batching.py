"""Batches: a compiled function over any number of items, in chunks of few different sizes."""

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.backend import compile_function
from keras_bld.base.progress import progress_bar

# 32 images of 256 x 256: some gigabytes of activations in the paper's autoencoder.
_PIXELS_IN_A_BATCH = 32 * 256 * 256


def comfortable_batch_size(image_shape, largest=32):
    """A batch size for images of this shape: at most `largest`, fewer where they are big."""
    return int(np.clip(_PIXELS_IN_A_BATCH // (image_shape[0] * image_shape[1]), 1, largest))


class BatchedFunction:
    """A tensor function for NumPy arrays of any length, compiled when it is first used.

    Long arrays go through in chunks of `batch_size`; the last chunk is padded by repeating the
    last item, so that one compiled program serves all of them. A single small batch is padded to
    the next power of two only: small requests stay cheap, and at most log2(batch_size) + 2
    programs are ever compiled.

    Args:
        function: called with (sample_indices, chunk, *scalars); returns a tensor whose first axis
            is the batch. `sample_indices` is int32 of shape (chunk,): positions in the whole
            input.
        variables: see `keras_bld.base.backend.compile_function`.
        check: called with each chunk; returns what `function` gets, or raises.
        default_batch_size: items in a chunk where the caller does not say.
        check_shape: optional; called with the whole array, before its length is relied on; raises
            where the shape is wrong.
        purpose: what the progress bar calls it.

    Attributes:
        substitute: None, or a function on arrays that runs in place of `function`: called with
            (sample_indices, chunk, *scalars), any number of items, it returns an array.
    """

    def __init__(
        self,
        function,
        variables,
        check,
        default_batch_size=32,
        check_shape=None,
        purpose="compute",
    ):
        self._function = function
        self._variables = variables
        self._check = check
        self._default_batch_size = default_batch_size
        self._check_shape = check_shape
        self._purpose = purpose
        self._compiled = None
        self.substitute = None

    @property
    def num_traces(self):
        """Number of compiled programs so far (on torch always 0)."""
        return 0 if self._compiled is None else self._compiled.num_traces

    def __call__(self, array, batch_size, *scalars, progress=True):
        """Return a float32 NumPy array with a result for each item of `array`.

        `progress`: show a progress bar where there are several batches and they take long.
        """
        if batch_size is None:
            batch_size = self._default_batch_size
        batch_size = checks.check_integer("batch_size", batch_size, 1)
        array = np.asarray(array)
        if self._check_shape is not None:
            self._check_shape(array)
        num_items = len(array)
        if self.substitute is None:
            if self._compiled is None:
                self._compiled = compile_function(self._function, self._variables)
            run, chunk_size = self._compiled, min(batch_size, 2 ** (num_items - 1).bit_length())
        else:
            run, chunk_size = self.substitute, min(batch_size, num_items)
        results = []
        with progress_bar(self._purpose, num_items, progress and chunk_size < num_items) as show:
            for start in range(0, num_items, chunk_size):
                show(start)
                indices = np.arange(start, start + chunk_size, dtype="int32")
                if self.substitute is not None:
                    indices = indices[: num_items - start]
                chunk = self._check(array[np.minimum(indices, num_items - 1)])
                result = run(indices, chunk, *scalars)
                results.append(ops.convert_to_numpy(result)[: num_items - start])
            show(num_items)
        return np.concatenate(results).astype("float32", copy=False)


def shuffled_rows(number, num_batches, batch_size, random):
    """Row numbers of batches, int (num_batches, batch_size), in an order drawn anew for each pass.

    Args:
        number: of rows that there are.
        num_batches: how many batches; they go through the rows as often as it takes.
        batch_size: rows of a batch.
        random: `numpy.random.Generator`.
    """
    passes = -(-num_batches * batch_size // number)
    order = np.concatenate([random.permutation(number) for _ in range(passes)])
    return order[: num_batches * batch_size].reshape(num_batches, batch_size)
