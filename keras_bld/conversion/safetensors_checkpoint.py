"""Checkpoints in the safetensors format."""

from keras_bld.base import checks


def read_safetensors(path):
    """Return name -> array.

    Raises:
        ImportError: the package safetensors is not installed.
        ValueError: the file is cut short or of another format.
    """
    try:
        import ml_dtypes  # noqa: F401  teaches NumPy bfloat16, before safetensors looks for it
        import safetensors
    except ImportError as error:
        raise checks.error(
            "path",
            f"`{path}`, and a package to read it is not there ({error})",
            "the packages safetensors and ml_dtypes",
            "pip install safetensors ml_dtypes",
            kind=ImportError,
        ) from error
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise checks.error(
            "path",
            f"`{path}`, which is not readable as safetensors ({error})",
            "a whole .safetensors file",
            "fetch the file again and compare its size with the original",
        ) from error
