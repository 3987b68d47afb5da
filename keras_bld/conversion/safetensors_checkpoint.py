"""Checkpoints in the safetensors format."""

from keras_bld.base import checks


def read_safetensors(path):
    """Return name -> array.

    Raises:
        ImportError: the package safetensors is not installed.
        ValueError: the file is cut short, of another format, or holds types that NumPy lacks.
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
    # Beside its own errors, safetensors lets through what NumPy says to types that it lacks.
    with (
        checks.as_error(
            lambda reason: checks.error(
                "path",
                f"`{path}`, which is not readable as safetensors ({reason})",
                "a whole .safetensors file of types that NumPy has",
                "fetch the file again and compare its size with the original; or, where it is of"
                " 8 bits or fewer, store the tensors as float16 or float32",
            )
        ),
        safetensors.safe_open(path, framework="numpy") as file,
    ):
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
