"""Checkpoint files, read into name -> array."""

from collections.abc import Mapping
from pathlib import Path

from keras_bld.base import checks
from keras_bld.base.torch_files import read_torch
from keras_bld.conversion.published_state import as_array, refuse_optimizer, some
from keras_bld.conversion.safetensors_checkpoint import read_safetensors

TORCH_SUFFIXES = (".th", ".pt", ".pth", ".ckpt", ".bin")
SAFETENSORS_SUFFIX = ".safetensors"
# Where a training script may have put the weights; averaged ones come first.
WEIGHT_KEYS = (
    "ema",
    "ema_state_dict",
    "model_ema",
    "ema_model",
    "state_dict",
    "model",
    "model_state_dict",
)


def read_checkpoint(path, key=None):
    """Read the tensors of a checkpoint file; code in the file is never run.

    Args:
        path: a file of torch (.th, .pt, .pth, .ckpt, .bin; read without torch) or .safetensors.
        key: where the file is a dictionary of several things, the entry with the weights. None
            takes the file itself where it holds tensors, else the first of `WEIGHT_KEYS`.

    Returns:
        Dictionary name -> NumPy array, in the layouts of the file. What is not a tensor is left
        out.

    Raises:
        ImportError: the package that reads this format is not installed.
        ValueError: no such file or format, a file that is cut short or holds pickled code, or no
            tensors in it.
    """
    path = Path(path)
    if not path.is_file():
        raise checks.error("path", f"`{path}`", "an existing file", "check the path")
    if path.suffix == SAFETENSORS_SUFFIX:
        content = read_safetensors(path)
    elif path.suffix in TORCH_SUFFIXES:
        content = read_torch(path)
    else:
        raise checks.error(
            "path",
            f"`{path}`",
            f"a name ending in {', '.join((*TORCH_SUFFIXES, SAFETENSORS_SUFFIX))}",
            "rename the file if it is of one of these formats",
        )
    return _tensors(content, key, path)


def _tensors(content, key, path):
    if isinstance(content, Mapping):
        refuse_optimizer(content, "path")
    if isinstance(content, Mapping) and key is None and not _holds_tensors(content):
        present = [name for name in WEIGHT_KEYS if isinstance(content.get(name), Mapping)]
        key = present[0] if present else None
    if key is not None:
        if not isinstance(content, Mapping) or not isinstance(content.get(key), Mapping):
            raise checks.error(
                "key",
                repr(key),
                f"an entry of `{path}` that is a dictionary",
                f"pass one of {some(_nested(content))}",
            )
        content = content[key]
    arrays = _arrays(content) if isinstance(content, Mapping) else {}
    if not _holds_tensors(arrays):
        nested = _nested(content)
        raise checks.error(
            "path",
            f"`{path}`, which holds a {type(content).__name__} without tensors",
            "a state dict, or a dictionary with one",
            f"pass key=..., one of {some(nested)}" if nested else "pass a checkpoint of weights",
        )
    return arrays


def _nested(content):
    if not isinstance(content, Mapping):
        return []
    return [str(name) for name, value in content.items() if isinstance(value, Mapping)]


def _holds_tensors(mapping):
    # A number beside a nested state dict (epoch, step) is no weight.
    return any(array.ndim > 0 for array in _arrays(mapping).values())


def _arrays(mapping):
    converted = {str(name): as_array(value) for name, value in mapping.items()}
    return {name: array for name, array in converted.items() if array is not None}
