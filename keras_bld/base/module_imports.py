"""What modules of the library import when they are imported, read from their sources."""

import functools
import pathlib
import re

from keras_bld.base.lazy_names import homes_of

_ROOT = pathlib.Path(__file__).parents[2]
_LIBRARY = "keras_bld"
# At the start of a line: neither inside of a function nor for type checkers alone.
_IMPORT = re.compile(
    r"^(?:import (?P<modules>.+)|from (?P<origin>\S+) import (?P<names>\([^)]*\)|.+))", re.MULTILINE
)


@functools.cache
def needs_keras(name):
    """Whether a module of the library, by its dotted name, imports Keras when it is imported.

    Of a module whose source is not there it is assumed.
    """
    seen, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        if module.partition(".")[0] == "keras" or (_is_ours(module) and _file(module) is None):
            return True
        if _is_ours(module) and module not in seen:
            seen.add(module)
            waiting += imported_by(module)
    return False


@functools.cache
def imported_by(name):
    """Dotted names of the modules that importing one of the library's imports first.

    Args:
        name: dotted name of a module of the library.

    Returns:
        Its packages, what it imports outside of functions, and the homes of lazy names among that.
    """
    parents = [name.rpartition(".")[0]] if "." in name else []
    source = _file(name).read_text(encoding="utf-8")
    return [*parents, *(module for match in _IMPORT.finditer(source) for module in _named(match))]


def _named(match):
    if match["origin"] is None:
        return [part.split()[0] for part in match["modules"].split(",")]
    origin = match["origin"]
    if not _is_ours(origin) or _file(origin) is None:
        return [origin]
    without_comments = re.sub(r"#.*", "", match["names"]).strip("()\n ")
    names = [part.split()[0] for part in without_comments.split(",") if part.strip()]
    homes = lazy_homes(origin)
    inner = [f"{origin}.{name}" for name in names if _file(f"{origin}.{name}") is not None]
    return [origin, *inner, *(homes[name] for name in names if name in homes)]


@functools.cache
def lazy_homes(name):
    """Lazy name -> module that it is imported from, of a package of the library; {} of a module."""
    file = _file(name)
    return homes_of(file.read_text(encoding="utf-8")) if file.name == "__init__.py" else {}


def _is_ours(name):
    return name.partition(".")[0] == _LIBRARY


@functools.cache
def _file(name):
    """The source of a module or package; None where there is none."""
    place = _ROOT.joinpath(*name.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)
