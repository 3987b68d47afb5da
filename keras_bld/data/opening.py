"""The images for a model, wherever they lie, preprocessed as the recipes do it."""

import pathlib

from keras_bld.base import checks
from keras_bld.data.digits import digits_source
from keras_bld.data.fashion_mnist import fashion_mnist_source, holds_fashion_mnist
from keras_bld.data.folders import ImageFolder
from keras_bld.data.preprocessing import ImagePreprocessing
from keras_bld.data.tfds_source import tfds_source

DIGITS = "digits"
TFDS_PREFIX = "tfds:"
SPLITS = ("train", "held_out")
# Splits of TFDS data sets that hold out images; others lose the last 5 % of `train`.
_HELD_OUT_SPLITS = {"fashion_mnist": "test", "imagenet2012": "validation"}


def open_images(
    image_shape,
    split,
    data_dir=None,
    tfds=None,
    crop="center",
    class_folders=None,
    on_error="raise",
    work_dir=None,
):
    """Return the source of a split: of TFDS, of Fashion-MNIST's files, or of a folder of images.

    Args:
        image_shape: (height, width, channels) of the model; height = width.
        split: of a folder "train", "validation" or "all"; of Fashion-MNIST "train" or "test"; of
            TFDS what it knows.
        data_dir: folder of images, or of Fashion-MNIST's four files; with `tfds` the folder of
            the prepared data sets, or None for TFDS's own.
        tfds: data set of TensorFlow Datasets, "name" or "name/config"; None takes `data_dir`.
        crop: as in `ImagePreprocessing`.
        class_folders, work_dir: as in `ImageFolder`.
        on_error: "raise", or "skip" for files of a folder that cannot be read.

    Raises:
        ValueError: images that are not square, or "skip" for other data than a folder of images.
        FileNotFoundError: the data set is not prepared; the message says how to get it.
    """
    preprocessing = square_preprocessing(image_shape, crop=crop)
    is_fashion_mnist = tfds is None and holds_fashion_mnist(data_dir)
    if on_error == "skip" and (tfds is not None or is_fashion_mnist):
        raise checks.error(
            "on_error",
            "'skip' for a data set that is no folder of image files",
            "'raise'",
            "leave on_error out, or repair the data set",
        )
    if tfds is not None:
        return tfds_source(tfds, split, preprocessing, data_dir)
    if is_fashion_mnist:
        return fashion_mnist_source(data_dir, split, preprocessing)
    return ImageFolder(
        data_dir,
        preprocessing,
        split,
        class_folders=class_folders,
        on_error=on_error,
        work_dir=work_dir,
    )


def square_preprocessing(image_shape, **options):
    """Return the `ImagePreprocessing` for a model's images; ValueError where they are not square.

    Args:
        image_shape: (height, width, channels).
        options: of `ImagePreprocessing`.
    """
    height, width, channels = image_shape
    if height != width:
        raise checks.error(
            "image_shape",
            f"{height} x {width} pixels",
            "square images",
            "call the functions of keras_bld.data and keras_bld.metrics with a source of your own",
        )
    return ImagePreprocessing(height, channels, **options)


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
