"""Pictures on the page: codes as bit planes, images large enough to see, painted masks."""

import math

import numpy as np
from PIL import Image

from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.base.pictures import image_grid

ORANGE = np.array([243, 112, 33], "uint8")
_CELL_WIDTH = 112  # pixels of an image between texts
# Part of a pixel that has to be painted over before it counts as painted.
_PAINTED_SHARE = 0.25


def painted_pixels(strokes, image_shape):
    """A boolean mask (height, width) of the model's pixels that were painted over.

    Args:
        strokes: array (any height, any width), above 0 where somebody painted; or None.
        image_shape: (height, width, channels).

    Raises:
        ValueError: nothing is painted.
    """
    height, width = image_shape[:2]
    mask = np.zeros((height, width), bool)
    if strokes is not None:
        covered = Image.fromarray(np.where(np.asarray(strokes) > 0, 255, 0).astype("uint8"))
        share = covered.resize((width, height), Image.Resampling.BOX)
        mask = np.asarray(share) >= 255 * _PAINTED_SHARE
    if not mask.any():
        raise checks.error(
            "mask",
            "no painted pixel",
            "strokes over the part that is to be made anew",
            "paint on the image",
        )
    return mask


def bit_planes(code, before=None):
    """A code as a picture of its bit planes side by side, RGB uint8.

    Args:
        code: {0, 1}, (height, width, bits).
        before: None, or a code; bits that differ from it are orange.
    """
    height, width, bits = code.shape
    columns = math.ceil(math.sqrt(bits))
    rows = math.ceil(bits / columns)
    # A bit is as many pixels as fit; a gap of one pixel stands between planes.
    scale = max(1, (_CELL_WIDTH - columns + 1) // (columns * width))
    picture = np.full(
        (rows * (height * scale + 1) - 1, columns * (width * scale + 1) - 1, 3), 255, "uint8"
    )
    for bit in range(bits):
        plane = np.where(code[..., bit : bit + 1] > 0.5, np.uint8(40), np.uint8(235))
        plane = plane.repeat(3, axis=-1)
        if before is not None:
            plane[code[..., bit] != before[..., bit]] = ORANGE
        top = bit // columns * (height * scale + 1)
        left = bit % columns * (width * scale + 1)
        plane = plane.repeat(scale, axis=0).repeat(scale, axis=1)
        picture[top : top + height * scale, left : left + width * scale] = plane
    return picture


def enlarged(image, width=_CELL_WIDTH):
    """An image as RGB uint8, each pixel repeated as often as fits in a width (once at least).

    Args:
        image: uint8 or floating point in [0, 1], (height, width, 1 or 3).
        width: pixels.
    """
    scale = max(1, width // image.shape[1])
    return to_rgb(image).repeat(scale, axis=0).repeat(scale, axis=1)


def to_rgb(image):
    """An image as RGB uint8.

    Args:
        image: uint8 or floating point in [0, 1], (height, width, 1 or 3).
    """
    image = np.asarray(image)
    image = image if image.dtype == np.uint8 else to_uint8(image)
    return image.repeat(3, axis=-1) if image.shape[-1] == 1 else image


def captioned(cells, columns, captions):
    """A picture of RGB cells, each in the middle of as much room as the largest needs."""
    height, width = (max(cell.shape[axis] for cell in cells) for axis in (0, 1))
    framed = np.full((len(cells), height, width, 3), 255, "uint8")
    for frame, cell in zip(framed, cells, strict=True):
        top, left = (height - cell.shape[0]) // 2, (width - cell.shape[1]) // 2
        frame[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return image_grid(framed, columns, padding=4, scale=1, captions=captions)
