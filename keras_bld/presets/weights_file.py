"""The `.weights.h5` file of a preset: Keras's layout, weights alone, optionally in float16."""

import pathlib

import h5py
import numpy as np

from keras_bld.base import checks

DTYPES = (None, "float16")
_FLOAT16_MAX = float(np.finfo("float16").max)


def write_weights(model, path, dtype=None):
    """Write a model's weights, without the optimizer's state that `save_weights` adds.

    Args:
        model: a built Keras model.
        path: file to write; its name ends in `.weights.h5`.
        dtype: None stores each weight as it is; "float16" stores floating point weights in half
            the space (they load as what the model has).

    Raises:
        ValueError: unknown dtype, or a weight that is too large for float16.
    """
    checks.check_choice("dtype", dtype, DTYPES)
    path = pathlib.Path(path)
    everything = path.with_name(f"everything.{path.name}")
    # Not libver="latest": that keeps times, and the same weights would differ in their sha256.
    model.save_weights(everything)
    try:
        with h5py.File(everything, "r") as source, h5py.File(path, "w") as target:
            _copy(source, target, dtype)
    finally:
        everything.unlink()


def read_weights(model, path):
    """Load a file of `write_weights` into `model`.

    Raises:
        ValueError: the file is no HDF5, or its weights are not those of the model.
    """
    try:
        with h5py.File(path, "r") as file:
            in_file = count_values(file)
    except OSError as reason:
        raise _mismatch(path, f"a file that is no HDF5 ({reason})") from reason
    in_model = model.count_params()
    if in_file != in_model:
        raise _mismatch(path, f"{in_file:,} weights for a model of {in_model:,}")
    try:
        model.load_weights(path)
    except (ValueError, KeyError) as reason:
        # Keras goes on with a list of all objects that it could not load.
        first = " ".join(str(reason).split("List of objects")[0].split())
        raise _mismatch(path, f"weights of other shapes or names ({first})") from reason


def count_values(group):
    """Number of values in all datasets of an HDF5 group."""
    counts = []
    group.visititems(
        lambda _, item: counts.append(item.size) if isinstance(item, h5py.Dataset) else None
    )
    return sum(counts)


def _copy(source, target, dtype):
    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name, item in source.items():
        # Also a part that was trained by itself brings its optimizer along.
        if name == "optimizer":
            continue
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name), dtype)
        elif dtype == "float16" and item.dtype in (np.float32, np.float64):
            target.create_dataset(name, data=_as_float16(item))
        else:
            source.copy(item, target, name)


def _as_float16(dataset):
    values = np.asarray(dataset)
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= _FLOAT16_MAX:
        raise checks.error(
            "dtype",
            f"a weight of size {largest:g} at {dataset.name}",
            f"finite weights of at most {_FLOAT16_MAX:g} for float16",
            "save with dtype=None",
        )
    return values.astype("float16")


def _mismatch(path, received):
    return checks.error(
        pathlib.Path(path).name,
        received,
        "the weights of the model that config.json describes",
        "use config.json and model.weights.h5 of one and the same preset, or save it again",
    )
