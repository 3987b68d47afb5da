"""Options of the sampling methods: one home for their names, defaults and documentation."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import TypeVar

from keras_bld.diffusion.sampling import CallOptions, Sampling

_KINDS = (Sampling, CallOptions)
Method = TypeVar("Method", bound=Callable)


def takes_sampling_options(method: Method) -> Method:
    """Decorator: `**options` of a method becomes, for help and completion, the options themselves.

    They are the fields of `Sampling`, None (the model's own) by default, and of `CallOptions`.
    """
    signature = inspect.signature(method)
    parameters = [each for each in signature.parameters.values() if each.kind != each.VAR_KEYWORD]
    own = {each.name for each in parameters}
    for kind in _KINDS:
        for entry in dataclasses.fields(kind):
            if entry.name in own:
                continue
            default = None if kind is Sampling else entry.default
            parameters.append(
                inspect.Parameter(entry.name, inspect.Parameter.KEYWORD_ONLY, default=default)
            )
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    method.__doc__ = inspect.cleandoc(method.__doc__ or "") + (
        "\n\nOptions (those of sampling are the model's own, `model.sampling`, where left out):\n"
        + "\n".join(
            f"    {name}: {text}" for name, text in option_descriptions().items() if name not in own
        )
        + "\n"
    )
    return method


def option_descriptions():
    """Name -> description of every option, as the classes' docstrings have them."""
    return {name: text for kind in _KINDS for name, text in descriptions_of(kind).items()}


def descriptions_of(kind):
    """Name -> description of the entries below "Args:" in a class's docstring, one line each."""
    arguments = re.search(
        r"^Args:\n((?:    .*\n|\n)+)", inspect.cleandoc(kind.__doc__) + "\n", re.M
    )
    entries = re.findall(r"^    (\w+): ((?:.*\n)(?:      +.*\n)*)", arguments.group(1), re.M)
    return {name: re.sub(r"\s+", " ", text).strip() for name, text in entries}
