"""The `.weights.h5` file of a preset: Keras's layout, weights alone, optionally in float16."""

import contextlib
import functools
import hashlib
import json
import math
import pathlib
import tempfile
from dataclasses import dataclass

import h5py
import numpy as np

from keras_bld.base import checks
from keras_bld.base.fitting.finite import first_not_finite

DTYPES = (None, "float16")
_FLOAT16_MAX = float(np.finfo("float16").max)


@dataclass(frozen=True)
class Contents:
    """What a file of weights holds: numbers in all, and arrays."""

    num_values: int
    num_weights: int


def write_weights(model, path, dtype=None):
    """Write a model's weights, without the optimizer's state that `save_weights` adds.

    Args:
        model: a built Keras model.
        path: file to write; its name ends in `.weights.h5`.
        dtype: None stores each weight as it is; "float16" stores floating point weights in half
            the space (they load as what the model has).

    Raises:
        ValueError: unknown dtype, a weight that is not finite, or too large for float16.
    """
    checks.check_choice("dtype", dtype, DTYPES)
    path = pathlib.Path(path)
    weight = first_not_finite(model.weights)
    if weight is not None:
        raise checks.error(
            "model",
            f"NaN or infinity in the weight `{weight}`",
            "finite weights",
            "the training diverged: save an earlier checkpoint, or train with a smaller learning"
            " rate",
        )
    everything = path.with_name(f"everything.{path.name}")
    # Not libver="latest": that keeps times, and the same weights would differ in their sha256.
    model.save_weights(everything)
    try:
        with h5py.File(everything, "r") as source, h5py.File(path, "w") as target:
            _copy(source, target, dtype)
    finally:
        everything.unlink()


def inspect_weights(file, damaged=None):
    """Return the `Contents` of a file of weights, after a look at its structure alone.

    Every array must be a plain one that lies in the file in full: no size is only claimed, and
    nothing is read from elsewhere.

    Args:
        file: path, or open binary file.
        damaged: callable (what is wrong) that returns the exception; None speaks of a preset.

    Raises:
        ValueError: the file is damaged, or holds anything else.
    """
    damaged = damaged or functools.partial(_mismatch, pathlib.Path(file))
    with checks.as_error(lambda reason: damaged(f"a damaged HDF5 file ({reason})")):
        with h5py.File(file, "r") as opened:
            sizes, wrong = _sizes(opened)
            length = opened.id.get_filesize()
    if wrong is None and sum(size for _, size in sizes) > length:
        wrong = "arrays that share their bytes"
    if wrong is not None:
        raise damaged(wrong)
    return Contents(sum(count for count, _ in sizes), len(sizes))


def part_digest(path, part):
    """Return a hash of the arrays in one group of a file: their names, shapes and values.

    The same values in float16 and in float32 have one hash.

    Args:
        path: of a file that `inspect_weights` has seen.
        part: name of the group.

    Returns:
        sha256 as 64 hexadecimal digits; None where there are no such arrays.
    """
    with h5py.File(path, "r") as file:
        names = []
        file.visit(names.append)
        arrays = [
            name
            for name in sorted(names)
            if name.split("/")[0] == part and isinstance(file[name], h5py.Dataset)
        ]
        if not arrays:
            return None
        digest = hashlib.sha256()
        for name in arrays:
            values = file[name][()]
            values = np.asarray(values, "<f4" if values.dtype.kind == "f" else None, "C")
            digest.update(json.dumps([name, str(values.dtype), list(values.shape)]).encode())
            digest.update(values.tobytes())
    return digest.hexdigest()


def leave_out(path, part):
    """Write a file of weights anew, without one of its groups."""
    path = pathlib.Path(path)
    whole = path.rename(path.with_name(f"whole.{path.name}"))
    with h5py.File(path, "w") as target:
        _copy_groups(whole, target, lambda name: name != part)
    whole.unlink()


@contextlib.contextmanager
def with_part_of(path, part, other):
    """Yield the path of a file for this block: that of `path`, with one group of `other`.

    Args:
        path, other: of files that `inspect_weights` has seen; what `path` has there is left out.
        part: name of the group.
    """
    with tempfile.TemporaryDirectory(prefix="keras_bld_") as folder:
        whole = pathlib.Path(folder) / pathlib.Path(path).name
        with h5py.File(whole, "w") as target:
            _copy_groups(path, target, lambda name: name != part)
            _copy_groups(other, target, lambda name: name == part)
        yield whole


def read_weights(model, path, called=None):
    """Load a file of `write_weights` into `model`.

    Args:
        model: a built Keras model.
        path: of the file.
        called: path that messages name; None: `path`.

    Raises:
        ValueError: the file is damaged, its weights are not those of the model, or not finite.
    """
    path, called = pathlib.Path(path), pathlib.Path(called or path)
    in_file, in_model = inspect_weights(path).num_values, model.count_params()
    if in_file != in_model:
        raise _mismatch(called, f"{in_file:,} weights for a model of {in_model:,}")
    with checks.as_error(lambda reason: _mismatch(called, _other_names(reason))):
        model.load_weights(path)
    weight = first_not_finite(model.weights)
    if weight is not None:
        raise checks.error(
            called.name,
            f"NaN or infinity in the weight `{weight}` of {called.parent}",
            "finite weights",
            "the training diverged or the file was altered: use an earlier preset",
        )


def _sizes(file):
    """([(values, bytes) of each array], what is wrong or None) of an open HDF5 file."""
    sizes, seen, groups = [], set(), [file]
    while groups:
        group = groups.pop()
        for name in group:
            where = f"`{group.name.rstrip('/')}/{name}`"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                return sizes, f"the link {where} to elsewhere"
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                return sizes, f"{where}, which stands there under another name, too"
            seen.add(address)
            if isinstance(item, h5py.Group):
                groups.append(item)
                continue
            if not isinstance(item, h5py.Dataset) or not _is_plain(item):
                return sizes, f"{where}, which is no plain array of numbers"
            count, stored = math.prod(item.shape), item.id.get_storage_size()
            if stored != count * item.dtype.itemsize:
                return sizes, f"{where}, {count:,} numbers in {stored:,} bytes"
            sizes.append((count, stored))
    return sizes, None


def _is_plain(dataset):
    properties = dataset.id.get_create_plist()
    return (
        dataset.shape is not None
        and dataset.dtype.kind in "fiub"
        and properties.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
        and properties.get_nfilters() == 0
        and properties.get_external_count() == 0
    )


def _other_names(reason):
    # Keras goes on with a list of all objects that it could not load.
    first = " ".join(reason.split("List of objects")[0].split())
    return f"weights of other shapes or names ({first})"


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


def _copy_groups(path, target, chosen):
    """Copy the groups of a file whose names are chosen, as they are, to an open one."""
    with h5py.File(path, "r") as source:
        for name in filter(chosen, source):
            source.copy(name, target, name)


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
        path.name,
        f"`{path}`: {received}",
        "the weights of the model that config.json describes",
        "use config.json and model.weights.h5 of one and the same preset, or save it again",
    )
