"""Files written by torch, read without running any code that they hold."""

import pickle
import warnings

from keras_bld.base import checks


def read_torch(path, argument="path", elsewhere=None):
    """Return the object that torch saved, made of containers, numbers and tensors alone.

    Args:
        path: of the file.
        argument: name of the argument that gave the path, for messages.
        elsewhere: what to do where the file is damaged, such as where to fetch it.

    Raises:
        ImportError: torch is not installed.
        ValueError: the file is cut short, of another format, or holds pickled code.
    """
    try:
        import torch
    except ImportError as error:
        raise checks.error(
            argument,
            f"`{path}`, which only torch can read, and torch cannot be imported ({error})",
            "the package torch (CPU is enough)",
            'pip install "keras_bld[torch]", or store the tensors as .safetensors',
            kind=ImportError,
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles: they load, or raise below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise checks.error(
            argument,
            f"`{path}`, which torch cannot read as plain weights: it holds more than tensors or is"
            f" cut short ({_first_line(error)})",
            "a file of tensors, as torch.save(model.state_dict(), path) writes it",
            elsewhere
            or "fetch it again; or, where you trust its origin, load it in torch, and save its"
            " state dict alone (this library never runs code out of a checkpoint)",
        ) from error
    except Exception as error:  # torch raises many kinds for a broken file
        raise checks.error(
            argument,
            f"`{path}`, which torch cannot read ({_first_line(error)})",
            "a whole file written by torch.save",
            elsewhere or "fetch the file again and compare its size with the original",
        ) from error


def read_arrays(path, argument, elsewhere):
    """Return the mapping of names to NumPy arrays that a file of weights holds.

    Args, errors: as of `read_torch`; also a ValueError where the file holds anything else.
    """
    tensors = read_torch(path, argument, elsewhere)
    try:
        return {name: tensor.numpy() for name, tensor in tensors.items()}
    except (AttributeError, TypeError) as error:
        raise checks.error(
            argument,
            f"`{path}`, which holds no mapping of names to plain tensors ({_first_line(error)})",
            "a file of tensors, as torch.save(model.state_dict(), path) writes it",
            elsewhere,
        ) from error


def _first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
