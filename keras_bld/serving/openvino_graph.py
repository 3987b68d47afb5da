"""Layers as OpenVINO operations: Keras weights in, graph nodes out.

Everything is built from the layers' weights, so that it works the same on every backend of Keras.
Images are (batch, channels, height, width) inside a graph, as OpenVINO's convolutions want them.
"""

import numpy as np
from keras import ops


def operations():
    """OpenVINO's set of operations (OpenVINO is imported here, not with the library)."""
    from openvino import opset15

    return opset15


def values(variable):
    """A variable's values as a float32 NumPy array."""
    return ops.convert_to_numpy(ops.cast(ops.convert_to_tensor(variable), "float32"))


def parameter(shape, name):
    """A float32 input; -1 in `shape` takes any size."""
    return operations().parameter(list(shape), np.float32, name=name)


def constant(array):
    """A constant, float32."""
    return operations().constant(np.ascontiguousarray(array, dtype="float32"))


def reshape(x, *shape):
    """0 in `shape` keeps that axis."""
    return operations().reshape(x, operations().constant(np.array(shape, "int64")), True)


def transpose(x, *axes):
    """Permute the axes."""
    return operations().transpose(x, operations().constant(np.array(axes, "int64")))


def linear(x, kernel, bias=None):
    """Return x @ kernel + bias for (batch, length, channels); the bias may depend on the place."""
    o = operations()
    # The transposed kernel is what OpenVINO's fully connected layer takes as it is.
    product = o.matmul(x, constant(kernel.T), False, True)
    return (
        product if bias is None else o.add(product, constant(bias.reshape(1, -1, bias.shape[-1])))
    )


def standardize(x, epsilon):
    """Zero mean and unit variance over the last axis, without scale and offset."""
    o = operations()
    return o.mvn(x, o.constant(np.array([-1])), True, float(epsilon), "inside_sqrt")


def attention(query, key, value, num_heads, width, bias=None):
    """Multi-head attention of (batch, length, width); the query is scaled already."""
    o = operations()

    def heads(x):
        return transpose(reshape(x, 0, -1, num_heads, width // num_heads), 0, 2, 1, 3)

    scores = o.matmul(heads(query), heads(key), False, True)
    if bias is not None:
        scores = o.add(scores, bias)
    attended = o.matmul(o.softmax(scores, -1), heads(value), False, False)
    return reshape(transpose(attended, 0, 2, 1, 3), 0, -1, width)


def gelu(x):
    """The exact GELU (erf)."""
    return operations().gelu(x, "erf")
