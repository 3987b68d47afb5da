"""Packages that only some users need: imported where used, missing ones named with their extra."""

import importlib


def import_optional(module, extra):
    """Import a package of an optional extra.

    Args:
        module: dotted name of the module.
        extra: the extra of keras_bld that installs it.

    Raises:
        ImportError: it is not installed; the message says which command installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"This needs the package `{package}`, which cannot be imported ({error}). "
            f'Fix: pip install "keras_bld[{extra}]".'
        ) from error
