"""Any number of images as one array: in memory while they are few, on disk beyond that."""

import tempfile

import numpy as np

from keras_bld.data import load_arrays

_LARGEST_IN_MEMORY = 2 << 30  # bytes


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
