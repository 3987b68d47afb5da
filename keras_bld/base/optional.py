"""Packages that only some users need: imported where used, missing ones named with their extra."""

import importlib
import importlib.metadata
import json
import pathlib
import shlex
import urllib.parse
import urllib.request

_DISTRIBUTION = "keras_bld"
_CLONE = pathlib.Path(__file__).parents[2]


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
            f"Fix: {install_command(extra)}."
        ) from error


def install_command(extra):
    """The command that installs an extra, from where the library itself was installed.

    Args:
        extra: a name of `[project.optional-dependencies]`, such as "serve".
    """
    if (_CLONE / "pyproject.toml").is_file():  # not installed, or editable
        return f"pip install {shlex.quote(f'{_CLONE}[{extra}]')}"
    origin = _origin()
    url = origin.get("url", "")
    if "vcs_info" in origin:
        return f'pip install "{_DISTRIBUTION}[{extra}] @ {origin["vcs_info"]["vcs"]}+{url}"'
    if url.startswith("file:") and "dir_info" in origin:
        path = urllib.request.url2pathname(urllib.parse.urlsplit(url).path)
        return f"pip install {shlex.quote(f'{path}[{extra}]')}"
    if url:
        return f'pip install "{_DISTRIBUTION}[{extra}] @ {url}"'
    return f'pip install "{_DISTRIBUTION}[{extra}]"'


def _origin():
    """What pip noted of where a distribution came from (PEP 610); {} of an index."""
    try:
        distribution = importlib.metadata.distribution(_DISTRIBUTION)
        return json.loads(distribution.read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return {}
