"""Pictures of requests: decoded within limits, cut to the model's size, and written as PNG."""

import io

import numpy as np
from PIL import Image

from keras_bld.base import checks
from keras_bld.base.pictures import image_grid
from keras_bld.data.images import open_image, to_array
from keras_bld.data.masks import light_pixels
from keras_bld.data.preprocessing import ImagePreprocessing

FORMATS = ("PNG", "JPEG", "WEBP")


class PictureReader:
    """Turns bytes of a request into what the model takes.

    Args:
        image_shape: (height, width, channels) of the model; a square.
        max_pixels: most pixels of a picture, seen before it is decoded.
    """

    def __init__(self, image_shape, max_pixels):
        self._num_channels = image_shape[-1]
        self._cut = ImagePreprocessing(image_shape[0], self._num_channels)
        self._cut_mask = ImagePreprocessing(image_shape[0], 1)
        self._max_pixels = max_pixels

    def image(self, content, field):
        """The largest centred square in the model's size: float32 in [0, 1]."""
        picture = self._open(content, field, self._num_channels)
        return self._cut(picture).astype("float32") / np.float32(255.0)

    def image_and_mask(self, content, mask):
        """The same, and booleans (height, width), True where the mask's picture is light.

        Raises:
            ValueError: pictures of two sizes, or a mask that is black where the model looks.
        """
        picture = self._open(content, "image", self._num_channels)
        painted = self._open(mask, "mask", 1)
        light = light_pixels(painted, picture.shape[1::-1], self._cut_mask)
        return self._cut(picture).astype("float32") / np.float32(255.0), light

    def _open(self, content, field, num_channels):
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                width, height = image.size
            if width * height > self._max_pixels:
                raise ValueError(f"{width} x {height} pixels")
            # Whatever a decoder says of such bytes is the sender's.
            return to_array(open_image(content, num_channels, formats=FORMATS))
        except MemoryError:
            raise
        except Exception as reason:
            words = ", ".join(FORMATS)
            raise checks.error(
                field,
                f"{len(content)} bytes that are no such picture ({_reason(reason)})",
                f"a {words} picture of at most {self._max_pixels} pixels",
                "send such a picture in base64",
            ) from reason


def _reason(exception):
    # Pillow's message names an object of the program.
    words = checks.reason_of(exception)
    return type(exception).__name__ if "<_io" in words else words


def png(image):
    """A PNG file of uint8 (height, width, channels) as bytes."""
    return _as_file(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image))


def sheet(images):
    """A PNG file of all images: of one as it is, of several a grid."""
    if len(images) == 1:
        return png(images[0])
    return _as_file(image_grid(np.stack(images), scale=1))


def _as_file(picture):
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=3)
    return file.getvalue()
