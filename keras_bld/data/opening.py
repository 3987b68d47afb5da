"""The images for a model, wherever they lie, preprocessed as the recipes do it."""

from keras_bld import checks
from keras_bld.data.fashion_mnist import fashion_mnist_source, holds_fashion_mnist
from keras_bld.data.folders import ImageFolder
from keras_bld.data.preprocessing import ImagePreprocessing
from keras_bld.data.tfds_source import tfds_source


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
            "call the functions of keras_bld.data and keras_bld.evaluation with a source of "
            "your own",
        )
    return ImagePreprocessing(height, channels, **options)
