"""Preprocessing: any image to the model's size, the same at training and evaluation."""

import dataclasses
import hashlib
import json

import numpy as np
from PIL import Image

from keras_bld.base import checks
from keras_bld.data import images as image_files

RESAMPLING = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}
CROPS = ("center", "none")


@dataclasses.dataclass(frozen=True)
class ImagePreprocessing:
    """Crop, then antialiased resize, to uint8 of one size; nothing random.

    The resize is Pillow's: Lanczos (or bicubic) whose kernel is widened by the reduction, so that
    it averages over all source pixels, computed on 8 bits. An image that has the size already
    keeps its pixels. A JPEG of eight times the size or more is decoded at an eighth, a quarter or
    a half of its own, at least four times the size that is asked for, which takes a fraction of the
    time. Random flips are not part of it; they belong to training (`image_batches`).

    Args:
        image_size: height and width of the result in pixels.
        num_channels: 3 (RGB) or 1 (grayscale).
        crop: "center" takes the largest centred square; "none" takes all of the image, so an
            image that is not square is squeezed.
        resampling: "lanczos" or "bicubic".
        background: (red, green, blue) behind transparent pixels.

    Raises:
        ValueError: an argument is out of range, or the image given to a call is not one.

    Example:
        >>> import numpy as np
        >>> ImagePreprocessing(image_size=32)(np.zeros((48, 64, 3), "uint8")).shape
        (32, 32, 3)
    """

    image_size: int
    num_channels: int = 3
    crop: str = "center"
    resampling: str = "lanczos"
    background: tuple = image_files.WHITE

    def __post_init__(self):
        checks.check_integer("image_size", self.image_size, 1)
        image_files.check_num_channels(self.num_channels)
        checks.check_choice("crop", self.crop, CROPS)
        checks.check_choice("resampling", self.resampling, tuple(RESAMPLING))
        object.__setattr__(self, "background", image_files.check_background(self.background))

    @property
    def image_shape(self):
        """(height, width, channels) of every result."""
        return (self.image_size, self.image_size, self.num_channels)

    def __call__(self, image, name=None):
        """Return the preprocessed image.

        Args:
            image: path, bytes of an image file, or uint8 array (height, width) or (height,
                width, channels) with 1, 3 or 4 channels.
            name: what error messages call the image; by default its path.

        Returns:
            uint8 array of shape (image_size, image_size, num_channels).
        """
        if isinstance(image, np.ndarray):
            image = image_files.flatten(
                _image_from_array(image), self.num_channels, self.background
            )
        else:
            image = image_files.open_image(
                image, self.num_channels, self.background, name, needed=self.image_size
            )
        size = (self.image_size, self.image_size)
        if image.size != size:  # or Pillow would copy it
            box = self._box(*image.size)  # where it has the size already, Pillow only crops
            image = image.resize(size, RESAMPLING[self.resampling], box=box)
        return image_files.to_array(image)

    def fingerprint(self):
        """Return a stable hash of the settings."""
        return fingerprint(dataclasses.asdict(self))

    def _box(self, width, height):
        if self.crop == "none":
            return (0, 0, width, height)
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return (left, top, left + side, top + side)


def fingerprint(settings):
    """Return sha256 (hex) of a nest of plain Python values."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _image_from_array(array):
    has_channels = array.ndim == 3 and array.shape[-1] in (1, 3, 4)
    if array.dtype != np.uint8 or not (array.ndim == 2 or has_channels) or 0 in array.shape:
        raise checks.error(
            "image",
            f"array of dtype {array.dtype}, shape {array.shape}",
            "uint8 of shape (height, width) or (height, width, channels), 1, 3 or 4 channels",
            "pass one image at a time, in [0, 255], channels last",
        )
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return Image.fromarray(array)
