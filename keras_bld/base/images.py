"""Images as picture files hold them."""

import numpy as np

from keras_bld.base.array_operations import operations_of


def to_uint8(images):
    """Return images in [0, 1] as the nearest of 256 levels, in uint8.

    Args:
        images: floating point, any shape. Arrays and lists give an array; a backend tensor, which
            may come from inside a compiled function, gives a tensor. Values are not checked.
    """
    if isinstance(images, list):
        images = np.asarray(images)
    ops = operations_of(images)
    return ops.cast(ops.round(images * 255.0), "uint8")
