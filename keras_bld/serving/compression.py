"""Weights in fewer bits: a graph holds them so, and computes in float32."""

import numpy as np

# Below, a tensor is a bias or a scale: it would save nothing.
SMALLEST = 1024


def is_compressible(array):
    """Whether an array is a matrix or a kernel of some size."""
    return array.ndim >= 2 and array.size >= SMALLEST and array.dtype == np.float32


def compress(array, dtype, axis=-1):
    """A float32 array -> (what is stored, the float32 factors that it is multiplied by, or None).

    Args:
        array: float32.
        dtype: "float16", "bfloat16" or "int8": -127 ... 127 with a factor for each entry of `axis`.
        axis: the one of the outputs, for int8.
    """
    if dtype == "bfloat16":
        import ml_dtypes

        return array.astype(ml_dtypes.bfloat16), None
    if dtype == "float16":
        return array.astype("float16"), None
    others = tuple(number for number in range(array.ndim) if number != axis % array.ndim)
    factors = np.abs(array).max(axis=others, keepdims=True) / np.float32(127)
    factors = np.where(factors == 0, np.float32(1), factors).astype("float32")
    return np.round(array / factors).astype("int8"), factors


def output_axis(array):
    """The axis of the outputs in graphs that store a kernel as (out, in, rows, columns)."""
    return 0 if array.ndim == 4 else -1
