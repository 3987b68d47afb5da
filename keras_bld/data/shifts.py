"""Every small shift of every image: more data where the data are few."""

import numpy as np

from keras_bld.base import checks
from keras_bld.data.sources import Subset


class Shifts(Subset):
    """The images of a source, each shifted by every number of pixels up to `most_pixels`.

    The shifts of one image follow each other; what a shift uncovers repeats the image's edge.

    Args:
        source: any data source.
        most_pixels: n >= 0, in both directions: (2 n + 1)^2 images for each.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> import numpy as np
        >>> from keras_bld.data import ArraySource
        >>> len(Shifts(ArraySource(np.zeros((5, 8, 8), "uint8")), 1))
        45
    """

    def __init__(self, source, most_pixels):
        height, width, _ = source.image_shape
        self.most_pixels = checks.check_integer("most_pixels", most_pixels, 0, min(height, width))
        self._num_shifts = (2 * self.most_pixels + 1) ** 2
        super().__init__(source, np.repeat(np.arange(len(source)), self._num_shifts))
        self._last = None, None  # (number of an image, what the source read): one reads in order

    def _read(self, index):
        number, read = self._last
        if number != index // self._num_shifts:
            number, read = index // self._num_shifts, super()._read(index)
            self._last = number, read
        image, label = read
        most = self.most_pixels
        down, right = divmod(index % self._num_shifts, 2 * most + 1)
        padded = np.pad(image, ((most, most), (most, most), (0, 0)), mode="edge")
        height, width, _ = image.shape
        return padded[down : down + height, right : right + width], label

    def _settings(self):
        return {**super()._settings(), "most_pixels": self.most_pixels}
