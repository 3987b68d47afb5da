"""Checks of what an autoencoder is built from."""

import numpy as np

from keras_bld.autoencoder.bottleneck import Bottleneck
from keras_bld.base import checks


def check_bottleneck(bottleneck):
    """Return a `Bottleneck`, or raise TypeError."""
    if not isinstance(bottleneck, Bottleneck):
        raise checks.error(
            "bottleneck",
            repr(bottleneck),
            "a keras_bld.autoencoder.Bottleneck",
            "pass e.g. keras_bld.baselines.VectorQuantizer(1024, 16)",
            kind=TypeError,
        )
    for name in ("num_inputs", "latent_channels", "code_channels"):
        checks.check_integer(f"{type(bottleneck).__name__}.{name}", getattr(bottleneck, name), 1)
    return bottleneck


def check_width_multipliers(width_multipliers):
    """Return the channels of the levels as a tuple of integers >= 1."""
    if len(tuple(width_multipliers)) == 0:
        raise checks.error(
            "width_multipliers",
            repr(width_multipliers),
            "an integer >= 1 for each level",
            "pass e.g. (1, 1, 2, 2, 4), or (1,) for codes as large as the image",
        )
    return tuple(checks.check_integer("width_multipliers", m, 1) for m in width_multipliers)


def check_image_shape(image_shape, num_levels):
    """Return (height, width, channels) that so many levels divide."""
    shape = tuple(image_shape)
    factor = 2 ** (num_levels - 1)
    whole = len(shape) == 3 and all(isinstance(size, (int, np.integer)) for size in shape)
    if not whole or min(shape) < 1 or shape[0] % factor or shape[1] % factor:
        raise checks.error(
            "image_shape",
            repr(image_shape),
            f"(height, width, channels), height and width divisible by {factor} "
            f"(2 ** (len(width_multipliers) - 1))",
            "crop or resize the images, or use fewer levels",
        )
    return tuple(int(size) for size in shape)
