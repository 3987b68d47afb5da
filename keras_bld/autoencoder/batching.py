"""Run a compiled function over any number of items in chunks of few different sizes."""

import numpy as np
from keras import ops

from keras_bld import checks
from keras_bld.backend import compile_function


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
        variables: see `keras_bld.backend.compile_function`.
        check: called with the first item and then with each chunk; returns what `function` gets.
    """

    def __init__(self, function, variables, check):
        self._function = function
        self._variables = variables
        self._check = check
        self._compiled = None

    @property
    def num_traces(self):
        """Number of compiled programs so far (on torch always 0)."""
        return 0 if self._compiled is None else self._compiled.num_traces

    def __call__(self, array, batch_size, *scalars):
        """Return a float32 NumPy array with a result for each item of `array`."""
        batch_size = checks.check_integer("batch_size", batch_size, 1)
        array = np.asarray(array)
        # Shape and dtype, before the size of the first axis is relied on.
        self._check(array if array.ndim == 0 else array[:1])
        if self._compiled is None:
            self._compiled = compile_function(self._function, self._variables)
        num_items = len(array)
        chunk_size = min(batch_size, 2 ** (num_items - 1).bit_length())
        results = []
        for start in range(0, num_items, chunk_size):
            indices = np.arange(start, start + chunk_size, dtype="int32")
            chunk = self._check(array[np.minimum(indices, num_items - 1)])
            result = self._compiled(indices, chunk, *scalars)
            results.append(ops.convert_to_numpy(result)[: num_items - start])
        return np.concatenate(results).astype("float32", copy=False)
