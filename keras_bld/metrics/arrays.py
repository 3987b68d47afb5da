"""Arguments of metrics: as NumPy float64, their shape and values checked."""

import numpy as np
from keras import ops

from keras_bld.base import checks


def to_float64(value):
    """Return a backend tensor, array or nested list as a float64 NumPy array."""
    if ops.is_tensor(value):
        value = ops.convert_to_numpy(value)
    return np.asarray(value, dtype="float64")


def check_features(argument, value, num_features=None, minimum_count=1):
    """Return features as float64 of shape (num_samples, num_features).

    Args:
        argument: name for the error message.
        value: array or backend tensor of shape (num_samples, num_features).
        num_features: required number of columns; `None` accepts any.
        minimum_count: fewest rows that the caller can work with.

    Raises:
        ValueError: wrong rank, wrong number of columns, too few rows, NaN or infinity.
    """
    features = to_float64(value)
    if features.ndim != 2 or (num_features is not None and features.shape[1] != num_features):
        columns = "num_features" if num_features is None else num_features
        raise checks.error(
            argument,
            f"shape {features.shape}",
            f"shape (num_samples, {columns})",
            "pool or flatten each sample's features to one row, of the same network for both sets",
        )
    if features.shape[0] < minimum_count or features.shape[1] == 0:
        raise checks.error(
            argument,
            f"shape {features.shape}",
            f"at least {minimum_count} samples and 1 feature",
            "pass more samples",
        )
    if not np.isfinite(features).all():
        raise checks.error(
            argument, "NaN or infinity", "finite numbers", "look for overflow in the network"
        )
    return features


def check_image_pair(first, second):
    """Return two batches of images of one shape as float64 in [0, 1].

    Args:
        first: uint8 in [0, 255] or floating point in [0, 1], shape (batch, height, width,
            channels); array or backend tensor.
        second: the counterparts, as `first`.

    Raises:
        ValueError: different shapes, wrong rank, empty batch, or values outside [0, 1].
    """
    pair = []
    for argument, images in (("a", first), ("b", second)):
        images = ops.convert_to_numpy(images) if ops.is_tensor(images) else np.asarray(images)
        if images.dtype == np.float64:
            # `check_images` rounds to float32, which is too coarse for comparing with references.
            checks.check_images(images, (None, None, None), argument)
            pair.append(images)
        elif images.dtype == np.uint8:
            checks.check_batch_shape(argument, images, (None, None, None))
            pair.append(images / 255.0)
        else:
            pair.append(checks.check_images(images, (None, None, None), argument).astype("float64"))
    if pair[0].shape != pair[1].shape:
        raise checks.error(
            "b",
            f"shape {pair[1].shape}",
            f"the shape of `a`, {pair[0].shape}",
            "pass image i's counterpart at position i, in the same size",
        )
    return pair


def check_labels(labels, num_images, num_classes, argument="labels"):
    """Return class labels as int32 of shape (num_images,).

    Raises:
        ValueError: wrong shape, not integers, or outside 0 .. num_classes - 1.
    """
    labels = ops.convert_to_numpy(labels) if ops.is_tensor(labels) else np.asarray(labels)
    if labels.shape != (num_images,) or not np.issubdtype(labels.dtype, np.integer):
        raise checks.error(
            argument,
            f"dtype {labels.dtype}, shape {labels.shape}",
            f"integers of shape ({num_images},), one for each image",
            "flatten the labels; take the argmax of one-hot rows",
        )
    if num_images == 0 or labels.min() < 0 or labels.max() >= num_classes:
        received = f"{labels.min()} .. {labels.max()}" if num_images else "no labels"
        raise checks.error(
            argument,
            received,
            f"labels in 0 .. {num_classes - 1}",
            "count classes from 0, or raise `num_classes`",
        )
    return labels.astype("int32")
