"""The operations of `keras.ops` that sampling needs, on NumPy arrays and without Keras."""

import numpy as np


class _NumpyOperations:
    """NumPy under the names of `keras.ops`."""

    convert_to_tensor = staticmethod(np.asarray)

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def cast(x, dtype):
        return np.asarray(x).astype(dtype)

    @staticmethod
    def sigmoid(x):
        # exp stays finite in float32; the sigmoid is 0 there to all its digits.
        return 1.0 / (1.0 + np.exp(np.minimum(-x, np.float32(80.0))))


NUMPY_OPERATIONS = _NumpyOperations()


def operations_of(x):
    """NumPy's operations for an array, `keras.ops` for a tensor (and Keras is imported)."""
    if isinstance(x, np.ndarray):
        return NUMPY_OPERATIONS
    from keras import ops

    return ops


def as_array(x):
    """A tensor, an array or a list as a NumPy array."""
    if isinstance(x, np.ndarray | list | tuple):
        return np.asarray(x)
    from keras import ops

    return ops.convert_to_numpy(x) if ops.is_tensor(x) else np.asarray(x)
