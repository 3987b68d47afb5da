"""Images as picture files hold them."""

import numpy as np


def to_uint8(images):
    """Return images in [0, 1] as the nearest of 256 levels, in uint8.

    Args:
        images: floating point, any shape. Arrays and lists give an array; a backend tensor, which
            may come from inside a compiled function, gives a tensor. Values are not checked.
    """
    from keras import ops  # sources of images need none until then

    if ops.is_tensor(images):
        return ops.cast(ops.round(images * 255.0), "uint8")
    return np.round(np.asarray(images) * 255.0).astype("uint8")
