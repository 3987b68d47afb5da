"""Public names of a package that are imported when they are first asked for."""

import ast
import importlib
import sys


def lazy_names(package):
    """Return `__getattr__` and `__dir__` of a package, whose names are imported at first use.

    The names are those of the package's block `if TYPE_CHECKING:`, which type checkers read, too:
    there is one list.

    Args:
        package: `__name__` of the package. Its `__init__.py` then has:

            if TYPE_CHECKING:
                from keras_bld.diffusion.sampling import Sampling

            __getattr__, __dir__ = lazy_names(__name__)
    """
    module = sys.modules[package]
    homes = homes_of(module.__spec__.loader.get_source(package))

    def get_attribute(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == package:
            value = importlib.import_module(f"{package}.{name}")
        else:
            value = getattr(importlib.import_module(homes[name]), name)
        setattr(module, name, value)
        return value

    def all_names():
        return sorted({*vars(module), *homes})

    return get_attribute, all_names


def homes_of(source):
    """Name -> module that it is imported from, of the block `if TYPE_CHECKING:` of a source."""
    return {
        alias.name: node.module
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        for alias in node.names
    }
