"""Any number of images: as one array, on disk where they are many; in pieces; some of them."""

import tempfile

import numpy as np

from keras_bld.data import load_arrays

_LARGEST_IN_MEMORY = 2 << 30  # bytes
_LARGEST_PIECE = 256 << 20  # bytes
_MOST_IN_A_PIECE = 4096  # images: whatever belongs to small ones must fit into memory, too


def empty_images(num_images, image_shape):
    """Return a uint8 array (num_images, *image_shape): memory, or a file that ends with it."""
    shape = (num_images, *image_shape)
    if np.prod(shape, dtype="int64") <= _LARGEST_IN_MEMORY:
        return np.empty(shape, "uint8")
    # The file has no name; its space is free again when the array is gone.
    with tempfile.TemporaryFile(prefix="keras_bld_images") as file:
        return np.memmap(file, "uint8", "w+", shape=shape)


def to_arrays(source):
    """Return the images and labels of a source: uint8 (num_images, h, w, c) and int32."""
    if np.prod((len(source), *source.image_shape), dtype="int64") <= _LARGEST_IN_MEMORY:
        return load_arrays(source)
    images = empty_images(len(source), source.image_shape)
    labels = np.empty(len(source), "int32")
    for index in range(len(source)):
        item = source[index]
        images[index], labels[index] = item["image"], item["label"]
    return images, labels


def image_pieces(source, batch_size=1):
    """Pairs (start, stop) of all images of a source, some whole batches of them at a time."""
    size = min(_MOST_IN_A_PIECE, _LARGEST_PIECE // int(np.prod(source.image_shape)))
    size = max(1, size // batch_size) * batch_size
    return [(first, min(first + size, len(source))) for first in range(0, len(source), size)]


def random_rows(count, size, seed):
    """Rows of a random subset in rising order: int64 (min(count, size),).

    Never the first `size` ones: a source may be sorted by class.
    """
    return np.sort(np.random.default_rng(seed).permutation(count)[:size])
