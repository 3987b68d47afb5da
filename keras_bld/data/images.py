"""Image files, read one at a time as 8-bit RGB or grayscale, upright, whatever they are.

Pillow decodes; this file settles what Pillow leaves open: orientation, transparency, 16 bits,
damaged metadata, how large an image may be, and one kind of error for a file that cannot be read.
"""

import contextlib
import io
import os
import stat

import numpy as np
from PIL import Image, JpegImagePlugin

from keras_bld.base import checks
from keras_bld.base.runs import option
from keras_bld.data.image_metadata import without_metadata

WHITE = (255, 255, 255)
# Formats of Pillow that hold no pixels it can decode by itself; EPS is a program for Ghostscript.
_NO_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
# How many times the size it is resized to: fine stripes would alias below.
_MARGIN = 4
_ORIENTATION = 0x0112  # EXIF's tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(ValueError):
    """An image file that is damaged, or no image at all."""


def image_suffixes():
    """Return the endings of the names of files that the installed Pillow reads, in lower case."""
    readable = readable_formats()
    return tuple(
        sorted(suffix for suffix, name in Image.registered_extensions().items() if name in readable)
    )


def readable_formats():
    """Return the names of the picture formats that the installed Pillow reads."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _NO_PICTURES)


def read_image(file, num_channels=3, background=WHITE):
    """Read an image file as uint8.

    What is done, in this order: the first frame is decoded; EXIF orientation is applied; 16 bits
    become 8 (v / 257, rounded); transparency (RGBA, gray with alpha, palettes with a transparent
    colour) is laid over `background`; CMYK, palettes and gray become RGB (or, for
    `num_channels=1`, ITU-R 601 luma). Colour profiles are not applied. Damaged EXIF, XMP or text
    beside good pixels is passed over. Images of more pixels than `PIL.Image.MAX_IMAGE_PIXELS`
    (9,459 x 9,459 by default) are refused before memory is taken for them.

    Args:
        file: path, the file's bytes, or an open binary file.
        num_channels: 3 (RGB) or 1 (grayscale).
        background: (red, green, blue) in [0, 255] behind transparent pixels; white by default.

    Returns:
        uint8 array of shape (height, width, num_channels).

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableImageError: truncated, damaged, empty, too large, no image, or no regular file;
            says the path and why.
        ValueError: an argument is wrong.

    Example:
        >>> read_image("photo.jpg").shape  # doctest: +SKIP
        (480, 640, 3)
    """
    check_num_channels(num_channels)
    background = check_background(background)
    return to_array(open_image(file, num_channels, background))


def open_image(file, num_channels=3, background=WHITE, name=None, formats=None, needed=None):
    """Like `read_image`, but return a `PIL.Image` of mode "RGB" or "L".

    Args:
        file: path, bytes, or an open binary file.
        num_channels: 3 or 1.
        background: (red, green, blue) behind transparent pixels.
        name: what error messages call the file; by default its path.
        formats: names of Pillow's formats that are read; None for all.
        needed: None, or height and width in pixels that the image will be resized to. A large JPEG
            is then decoded at a half, quarter or eighth of its size, which is four times as large
            or larger, and takes a fraction of the time.
    """
    if name is None:
        name = f"`{file}`" if _is_path(file) else "image bytes"
    try:
        with _open(file, formats or readable_formats()) as image:
            _check_size(image)
            if needed is not None:
                _decode_smaller(image, _MARGIN * needed)
            _load(image)
            return flatten(_upright(image), num_channels, background)
    except (FileNotFoundError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exception:
        # Pillow's error above twice the limit, and its warning where warnings are errors.
        raise _unreadable(name, _TooManyPixelsError(str(exception))) from exception
    except Exception as exception:
        # Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error,
        # zlib.error and more on damaged files, and the list grows with each release.
        raise _unreadable(name, exception) from exception


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


class _TooManyPixelsError(ValueError):
    pass


def _is_path(file):
    return isinstance(file, str) or hasattr(file, "__fspath__")


def _open(file, formats):
    if _is_path(file) and not stat.S_ISREG(os.stat(file).st_mode):
        # Opening a named pipe would wait for ever.
        raise OSError("it is no regular file")
    if isinstance(file, bytes | bytearray | memoryview):
        file = io.BytesIO(file)
    try:
        return Image.open(file, formats=formats)
    except (FileNotFoundError, MemoryError, Image.DecompressionBombError):
        raise
    except Exception:
        content = without_metadata(file)
        if content is None:
            raise
        return Image.open(io.BytesIO(content), formats=formats)


def _check_size(image):
    limit = Image.MAX_IMAGE_PIXELS
    width, height = image.size
    if limit is not None and width * height > limit:
        raise _TooManyPixelsError(
            f"it has {width:,} x {height:,} pixels, more than the {limit:,} that are read"
        )


def _decode_smaller(image, fewest):
    """Let a JPEG be decoded at the smallest whole share of its size that has `fewest` pixels.

    The decoder then computes a mean of each 2 x 2, 4 x 4 or 8 x 8 pixels from the coefficients, in
    place of all of them. Sides that are no multiple stay: their last column would stand for less.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return
    width, height = image.size
    for share in (8, 4, 2):
        size = (width // share, height // share)
        if min(size) >= fewest and width % share == height % share == 0:
            image.draft(None, size)
            return


def _load(image):
    end = image.load_end if hasattr(image, "load_end") else None
    if end is not None:

        def forgiving_end():
            # The pixels are decoded; what follows them in the file is metadata and other frames.
            with contextlib.suppress(Exception):
                end()

        image.load_end = forgiving_end
    image.load()


def _upright(image):
    try:
        orientation = image.getexif().get(_ORIENTATION)
        method = _UPRIGHT.get(orientation)
    except Exception:  # as many kinds as above
        return image
    return image if method is None else image.transpose(method)


def _unreadable(name, exception):
    reason = checks.printable(str(exception)) or type(exception).__name__
    fix = "replace or remove the file"
    if isinstance(exception, _TooManyPixelsError):
        fix = (
            "make it smaller, or, if you trust it, set PIL.Image.MAX_IMAGE_PIXELS to as many pixels"
        )
    return UnreadableImageError(
        f"Cannot read image {checks.printable(name)}: {reason}. Fix: {fix}, or let an ImageFolder "
        f"leave such files out with {option('on_error', 'skip')}."
    )


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
