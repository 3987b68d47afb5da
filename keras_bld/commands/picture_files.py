"""Picture files as a model takes them: its size, its channels, and a mask of the same cut."""

import numpy as np

from keras_bld.base import checks
from keras_bld.base.checks import quoted
from keras_bld.data import ImagePreprocessing
from keras_bld.data.images import open_image, to_array
from keras_bld.data.masks import light_pixels


def read_pictures(files, image_shape):
    """Read picture files: the largest centred square of each, in the model's size.

    Args:
        files: paths.
        image_shape: (height, width, channels) of the model; a square.

    Returns:
        uint8 array (len(files), *image_shape).

    Raises:
        FileNotFoundError, ValueError: a file that is not there, or no picture.
    """
    read = _preprocessing(image_shape, image_shape[-1])
    return np.stack([read(file) for file in files])


def read_mask(file, picture, image_shape):
    """Read the mask of a picture: white, or light, where new content goes.

    Args:
        file: path of the mask.
        picture: path of the picture that it belongs to; cut in the same way.
        image_shape: of the model.

    Returns:
        bool array (height, width).

    Raises:
        FileNotFoundError, ValueError: a file that is not there, no picture, of another size than
            `picture`, or black everywhere.
    """
    painted, size = to_array(open_image(file, 1)), open_image(picture, 1).size
    return light_pixels(painted, size, _preprocessing(image_shape, 1), f"{quoted(file)}, ")


def _preprocessing(image_shape, num_channels):
    if image_shape[0] != image_shape[1]:
        raise checks.error(
            "preset",
            f"a model of {image_shape[0]} x {image_shape[1]} pixels",
            "a model of square images",
            "call it in Python with arrays of its size",
        )
    return ImagePreprocessing(image_shape[0], num_channels)
