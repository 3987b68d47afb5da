"""Placement: every variable is seen to have its tensor, then all are assigned."""

import math

import numpy as np

from keras_bld.base import checks
from keras_bld.conversion.names import AS_STORED, CONVOLUTION, LINEAR, POINTWISE
from keras_bld.conversion.published_state import missing_tensors
from keras_bld.conversion.report import PlacedTensor

_TO_KERAS = {
    AS_STORED: lambda array: array,
    LINEAR: lambda array: array.T,
    CONVOLUTION: lambda array: array.transpose(2, 3, 1, 0),
    POINTWISE: lambda array: array[:, :, 0, 0].T,
}
_TO_PUBLISHED_SHAPE = {
    AS_STORED: lambda shape: shape,
    LINEAR: lambda shape: shape[::-1],
    CONVOLUTION: lambda shape: (shape[3], shape[2], shape[0], shape[1]),
    POINTWISE: lambda shape: (shape[1], shape[0], 1, 1),
}


def place(model, rows, state):
    """Assign published tensors to the model's variables.

    Args:
        model: a built model.
        rows: (canonical published name, attribute path, layout), see `names`.
        state: the `PublishedState`.

    Returns:
        Tuple of `PlacedTensor`.

    Raises:
        ValueError: tensors are missing, of the wrong shape, not floating point or not finite.
            Nothing has been assigned then.
    """
    missing = [name for name, _, _ in rows if name not in state.arrays]
    if missing:
        raise missing_tensors(missing, state)
    pairs = [(name, find(model, path), layout) for name, path, layout in rows]
    _check_shapes(pairs, state)
    for name, _, _ in rows:
        _check_values(state.names[name], state.arrays[name])
    for name, variable, layout in pairs:
        array = _TO_KERAS[layout](state.arrays[name].astype("float32", copy=False))
        variable.assign(np.ascontiguousarray(array))
    return tuple(
        PlacedTensor(state.names[name], path, tuple(state.arrays[name].shape), layout)
        for name, path, layout in rows
    )


def find(model, path):
    """The attribute at a path such as "denoiser.blocks.0.head.kernel"."""
    found = model
    for part in path.split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)
    return found


def _check_shapes(pairs, state):
    clashes = []
    for name, variable, layout in pairs:
        received = tuple(state.arrays[name].shape)
        expected = _TO_PUBLISHED_SHAPE[layout](tuple(variable.shape))
        if received != expected:
            clashes.append(f"`{state.names[name]}` of shape {received} and not {expected}")
    if clashes:
        more = f" and {len(clashes) - 4} more" if len(clashes) > 4 else ""
        raise checks.error(
            "state_dict",
            "; ".join(clashes[:4]) + more,
            "shapes that agree with the sizes read from the other tensors",
            "pass an unchanged published checkpoint",
        )


def _check_values(name, array):
    # bfloat16 comes from ml_dtypes, for which NumPy knows no kind.
    floating = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    if not floating:
        raise checks.error(
            "state_dict",
            f"`{name}` of dtype {array.dtype}",
            "floating point weights",
            "pass the checkpoint before it was quantised",
        )
    # The sum is not finite if one number is not; it is checked in float64, which cannot overflow.
    if not math.isfinite(float(np.sum(array, dtype="float64"))):
        raise checks.error(
            "state_dict",
            f"`{name}` with NaN or infinity",
            "finite weights",
            "pass a checkpoint from before the training diverged, or fetch the file again",
        )
