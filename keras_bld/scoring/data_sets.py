"""A data set by one word: a folder, `digits`, or `tfds:NAME`, split as the recipes split it."""

import pathlib

from keras_bld import checks
from keras_bld.data import digits_source, holds_fashion_mnist, open_images
from keras_bld.data.opening import square_preprocessing

DIGITS = "digits"
TFDS_PREFIX = "tfds:"
SPLITS = ("train", "held_out")
# Splits of TFDS data sets that hold out images; others lose the last 5 % of `train`.
_HELD_OUT_SPLITS = {"fashion_mnist": "test", "imagenet2012": "validation"}


def open_data_set(data, split, image_shape, data_dir=None, on_error="raise", work_dir=None):
    """Return the source of one split of a data set, preprocessed as the recipes do it.

    Args:
        data: a folder of images (with or without `train/`, `val/` and class sub-folders), a
            folder with Fashion-MNIST's four idx files, "digits" (scikit-learn's), or
            "tfds:NAME" (TensorFlow Datasets).
        split: "train" or "held_out".
        image_shape: (height, width, channels) of the model; height = width.
        data_dir: where TFDS has its prepared data sets; None takes TFDS's own folder.
        on_error: "raise" or "skip", for files of a folder that cannot be read.
        work_dir: where skipped files are listed.

    Raises:
        ValueError: nothing of that name, or images that are not square.
        FileNotFoundError: the data set is not prepared; the message says how to get it.
    """
    checks.check_choice("split", split, SPLITS)
    is_train = split == "train"
    if data == DIGITS:
        return digits_source(split, square_preprocessing(image_shape, resampling="bicubic"))
    if data.startswith(TFDS_PREFIX):
        name = data.removeprefix(TFDS_PREFIX)
        held_out = _HELD_OUT_SPLITS.get(name.split("/")[0])
        splits = ("train", held_out) if held_out else ("train[:95%]", "train[95%:]")
        return open_images(image_shape, splits[0 if is_train else 1], data_dir, name)
    folder = pathlib.Path(data)
    if not folder.is_dir():
        raise checks.error(
            "data",
            f"{data!r}, which is no folder",
            f"a folder of images, {DIGITS!r}, or '{TFDS_PREFIX}NAME'",
            "give the path of the data set",
        )
    held_out = "test" if holds_fashion_mnist(folder) else "validation"
    split = "train" if is_train else held_out
    return open_images(image_shape, split, folder, on_error=on_error, work_dir=work_dir)
