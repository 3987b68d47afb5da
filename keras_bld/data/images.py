"""Reading one image file, whatever it is, as 8-bit RGB or grayscale, upright.

Pillow decodes; this file settles what Pillow leaves open: orientation, transparency, 16 bits, and
one kind of error for a file that cannot be read.
"""

import io

import numpy as np
from PIL import Image, ImageOps

from keras_bld.base import checks

WHITE = (255, 255, 255)


class UnreadableImageError(ValueError):
    """An image file that is damaged, or no image at all."""


def read_image(file, num_channels=3, background=WHITE):
    """Read an image file as uint8.

    What is done, in this order: the first frame is decoded; EXIF orientation is applied; 16 bits
    become 8 (v / 257, rounded); transparency (RGBA, gray with alpha, palettes with a transparent
    colour) is laid over `background`; CMYK, palettes and gray become RGB (or, for
    `num_channels=1`, ITU-R 601 luma). Colour profiles are not applied.

    Args:
        file: path, the file's bytes, or an open binary file.
        num_channels: 3 (RGB) or 1 (grayscale).
        background: (red, green, blue) in [0, 255] behind transparent pixels; white by default.

    Returns:
        uint8 array of shape (height, width, num_channels).

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableImageError: truncated, damaged, empty, or not an image; says the path and why.
        ValueError: an argument is wrong.

    Example:
        >>> read_image("photo.jpg").shape  # doctest: +SKIP
        (480, 640, 3)
    """
    check_num_channels(num_channels)
    background = check_background(background)
    return to_array(open_image(file, num_channels, background))


def open_image(file, num_channels=3, background=WHITE, name=None):
    """Like `read_image`, but return a `PIL.Image` of mode "RGB" or "L".

    Args:
        file: path, bytes, or an open binary file.
        num_channels: 3 or 1.
        background: (red, green, blue) behind transparent pixels.
        name: what error messages call the file; by default its path.
    """
    if name is None:
        is_path = isinstance(file, str) or hasattr(file, "__fspath__")
        name = f"`{file}`" if is_path else "image bytes"
    stream = io.BytesIO(file) if isinstance(file, bytes | bytearray | memoryview) else file
    try:
        with Image.open(stream) as image:
            image.load()
            image = ImageOps.exif_transpose(image)
            return flatten(image, num_channels, background)
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as exception:
        # Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error,
        # zlib.error and more on damaged files, and the list grows with each release.
        reason = str(exception).replace("\n", " ") or type(exception).__name__
        raise UnreadableImageError(
            f"Cannot read image {name}: {reason}. Fix: replace or remove the file, or let an "
            'ImageFolder leave such files out with on_error="skip".'
        ) from exception


def flatten(image, num_channels, background):
    """Turn a PIL image of any mode into 8-bit "RGB" or "L" without transparency."""
    image = _to_eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
    mode = "L" if num_channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def to_array(image):
    """Return a PIL image of mode "RGB" or "L" as uint8 (height, width, channels)."""
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def check_num_channels(num_channels):
    """Raise ValueError unless `num_channels` is 1 or 3."""
    checks.check_choice("num_channels", num_channels, (1, 3))


def check_background(background):
    """Return `background` as three ints; raise ValueError unless each is in [0, 255]."""
    colour = tuple(np.asarray(background).ravel().tolist())
    if len(colour) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in colour):
        raise checks.error(
            "background",
            repr(background),
            "(red, green, blue), integers in [0, 255]",
            "pass for example (255, 255, 255) for white",
        )
    return colour


def _to_eight_bits(image):
    # Pillow keeps 16-bit gray as it is (and would clip it at 255), but hands out 16-bit colour
    # as 8-bit already. Older versions call 16-bit gray "I".
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f'pixels of mode "{image.mode}" have no fixed range; save 8 or 16 bits')
    rounded = (values.astype(np.uint32) + 128) // 257
    return Image.fromarray(rounded.astype(np.uint8))
