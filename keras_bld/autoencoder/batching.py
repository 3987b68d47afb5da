"""Run a compiled function over any number of items in chunks of few different sizes."""

import numpy as np
from keras import ops

from keras_bld import checks


def run_in_batches(function, inputs, batch_size):
    """Apply `function` to chunks of the first axis and concatenate the results.

    The last chunk is padded by repeating its last item, so that one compiled program serves all
    chunks. A single small batch is padded to the next power of two only, so that small requests
    stay cheap and at most log2(batch_size) + 1 programs are ever compiled.

    Args:
        function: called with (sample_indices, *chunks); returns a tensor whose first axis is the
            batch. `sample_indices` is int32 of shape (chunk,): positions in the whole input.
        inputs: tuple of NumPy arrays with the same first axis.
        batch_size: largest chunk.

    Returns:
        float32 NumPy array.
    """
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    num_items = len(inputs[0])
    chunk_size = min(batch_size, 2 ** (num_items - 1).bit_length())
    results = []
    for start in range(0, num_items, chunk_size):
        indices = np.arange(start, start + chunk_size, dtype="int32")
        rows = np.minimum(indices, num_items - 1)
        result = function(indices, *(array[rows] for array in inputs))
        results.append(ops.convert_to_numpy(result)[: num_items - start])
    return np.concatenate(results).astype("float32", copy=False)
