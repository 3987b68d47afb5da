"""Labels and text embeddings at the public entrances."""

import numpy as np

from keras_bld.base import checks
from keras_bld.base.description import counted


def check_condition(denoiser, condition, num_samples):
    """Return the condition as an array with one row for each sample, or None.

    Args:
        denoiser: the `BernoulliDenoiser` it is meant for.
        condition: labels (an int, or integers of shape (num_samples,)), or text embeddings of
            shape (num_samples, text_width) or (num_samples, length, text_width).
        num_samples: number of samples.

    Raises:
        ValueError: missing where needed, given where not, out of range, or of the wrong shape.
    """
    kind = denoiser.condition_kind
    if kind is None:
        if condition is None:
            return None
        raise checks.error(
            "labels",
            "labels",
            "no labels, the model is unconditional",
            "leave labels out, or use a model built with num_classes",
        )
    if kind == "class":
        return _check_labels(condition, denoiser.num_classes, num_samples)
    return _check_text(condition, denoiser, num_samples)


def check_class_names(class_names, denoiser):
    """Return the names of a model's classes as a tuple, or None.

    Raises:
        ValueError: not one for each class of the denoiser.
    """
    if class_names is None:
        return None
    names = tuple(str(name) for name in class_names)
    if denoiser.condition_kind == "class" and len(names) != denoiser.num_classes:
        raise checks.error(
            "class_names",
            f"{len(names)} names",
            f"one for each of {denoiser.num_classes} classes",
            "give them in the order of the labels",
        )
    return names


def label_error(received, num_classes, num_samples):
    """The exception of labels that are no class for each sample."""
    many = "" if num_samples is None else f"{num_samples} "
    return checks.error(
        "labels",
        received,
        f"{many}integers in [0, {num_classes - 1}]",
        "pass one integer class for each image, or one for all",
    )


def _check_labels(labels, num_classes, num_samples):
    expected = f"{num_samples} integers in [0, {num_classes - 1}]"
    if labels is None:
        raise checks.error(
            "labels", "none", expected, "pass labels=..., the model is class-conditional"
        )
    labels = np.asarray(labels)
    if labels.ndim == 0:
        labels = np.full(num_samples, labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] == num_classes:
        labels = _from_one_hot(labels)
    if labels.shape != (num_samples,) or not np.issubdtype(labels.dtype, np.integer):
        received = f"shape {labels.shape}, dtype {labels.dtype}"
        raise label_error(received, num_classes, num_samples)
    if labels.min() < 0 or labels.max() >= num_classes:
        raise checks.error(
            "labels",
            f"values from {labels.min()} to {labels.max()}",
            expected,
            "number the classes from 0",
        )
    return labels.astype("int32")


def _from_one_hot(labels):
    """(num_samples, num_classes) of zeros and one 1 in each row -> the number of its column."""
    if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
        raise checks.error(
            "labels",
            f"shape {labels.shape}, which is not one-hot",
            "a single 1 and zeros in each row",
            "pass integer classes, or one-hot vectors of them",
        )
    return labels.argmax(axis=1)


def _check_text(embeddings, denoiser, num_samples):
    sequence = denoiser.condition_kind == "cross_attention"
    shape = (None, denoiser.text_width) if sequence else (denoiser.text_width,)
    if embeddings is None:
        raise checks.error(
            "text_embeddings",
            "none",
            f"shape ({num_samples}, {'length, ' if sequence else ''}{denoiser.text_width})",
            "pass text_embeddings=..., the model is conditioned on text",
        )
    embeddings = np.asarray(embeddings, "float32")
    checks.check_batch_shape("text_embeddings", embeddings, shape)
    if len(embeddings) != num_samples:
        raise checks.error(
            "text_embeddings",
            f"{len(embeddings)} rows",
            f"{num_samples} rows",
            "pass one embedding for each image",
        )
    if not np.isfinite(embeddings).all():
        raise checks.error(
            "text_embeddings", "NaN or infinity", "finite numbers", "check the text encoder"
        )
    return embeddings


def condition_facts(denoiser):
    """What a denoiser is conditioned on, for `Described.facts`."""
    kind = denoiser.condition_kind
    if kind is None:
        return []
    if kind == "class":
        return [counted(denoiser.num_classes, "class")]
    name = {"token": "text as a token", "cross_attention": "text by cross-attention"}[kind]
    return [f"{name} of width {denoiser.text_width}"]
