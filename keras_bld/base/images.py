"""Images as picture files hold them."""

import numpy as np
from keras import ops


def to_uint8(images):
    """Return images in [0, 1] as the nearest of 256 levels, in uint8.

    Args:
        images: floating point, any shape. Arrays and lists give an array; a backend tensor, which
            may come from inside a compiled function, gives a tensor. Values are not checked.
    """
    if ops.is_tensor(images):
        return ops.cast(ops.round(images * 255.0), "uint8")
    return np.round(np.asarray(images) * 255.0).astype("uint8")
