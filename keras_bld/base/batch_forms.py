"""The forms that a batch may have, and the one that the models compute with."""

import typing

import numpy as np

from keras_bld.base import checks

# What a dictionary may call its parts; what it holds beside them is passed over.
_IMAGES, _CODES, _PACKED_CODES = "images", "codes", "packed_codes"
_KINDS = {
    **dict.fromkeys(("image", "images", "img"), _IMAGES),
    **dict.fromkeys(("code", "codes"), _CODES),
    "packed_codes": _PACKED_CODES,
    "x": None,
}
_LABELS = ("label", "labels", "y")
_WEIGHTS = ("sample_weight",)


class Batch(typing.NamedTuple):
    """What a batch holds: arrays or tensors, or None; and what x is where a dictionary says so."""

    x: typing.Any
    y: typing.Any = None
    sample_weight: typing.Any = None
    kind: str | None = None

    def as_arrays(self):
        """The same with NumPy arrays."""
        return Batch(*map(as_array, self[:3]), self.kind)


def unpack_batch(data, takes_labels=True):
    """Return the `Batch` of what a dataset, or `fit` itself, gives as one.

    Args:
        data: x, (x,), (x, y), (x, y, sample_weight), or a dictionary of "image" (or "images",
            "codes", "packed_codes") and where there are any "label" and "sample_weight"; x itself
            may be such a dictionary. Arrays or tensors.
        takes_labels: whether the labels of a dictionary are wanted, or left out.

    Raises:
        ValueError: anything else.
    """
    parts = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    if not 1 <= len(parts) <= 3:
        raise _unknown_form(f"a tuple of {len(parts)}")
    x, y, sample_weight = (*parts, None, None)[:3]
    if not isinstance(x, dict):
        return Batch(x, y, sample_weight, None)
    names = [name for name in _KINDS if x.get(name) is not None]
    if len(names) != 1:
        raise _unknown_form(f"a dictionary of {', '.join(map(repr, x)) or 'nothing'}")
    y = _first(x, _LABELS) if y is None and takes_labels else y
    sample_weight = _first(x, _WEIGHTS) if sample_weight is None else sample_weight
    return Batch(x[names[0]], y, sample_weight, _KINDS[names[0]])


def pack_batch(batch):
    """Return a `Batch` as Keras takes it: (x,), (x, y) or (x, y, sample_weight).

    Where it says its kind, or has a weight and no y (Keras would drop the weight), x is a
    dictionary that `unpack_batch` understands.
    """
    x, y, sample_weight, kind = batch
    joined = y is None and sample_weight is not None
    if kind is not None or joined:
        x = {kind or "x": x}
    if joined:
        return ({**x, "sample_weight": sample_weight},)
    return (x, y, sample_weight)[: 1 + (y is not None) + (sample_weight is not None)]


def as_array(part):
    """An array, tensor of any library or list as a NumPy array; None stays None."""
    if part is None:
        return None
    if hasattr(part, "detach"):  # torch
        part = part.detach().cpu()
        return (part.float() if "bfloat16" in str(part.dtype) else part).numpy()
    array = np.asarray(part)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _first(parts, names):
    return next((parts[name] for name in names if parts.get(name) is not None), None)


def _unknown_form(received):
    return checks.error(
        "x",
        f"batches that are {received}",
        "images, codes or packed codes alone, (x, y), (x, y, sample_weight), or a dictionary with"
        " one of " + ", ".join(map(repr, _KINDS)) + f" and, for labels, {_LABELS[0]!r}",
        "map the dataset to one of these forms",
    )
