"""Options of the command line that are the fields of `Sampling`: one value each, or a sweep."""

import dataclasses
import types
import typing

import tyro

from keras_bld.diffusion.method_options import descriptions_of
from keras_bld.diffusion.sampling import AXES, Sampling

_TEXTS, _KINDS = descriptions_of(Sampling), typing.get_type_hints(Sampling)


def _option(name, kind, text, default):
    return name, typing.Annotated[kind, tyro.conf.arg(help=text)], default


_Options = dataclasses.make_dataclass(
    "_Options",
    [
        _option(name, kind | None, f"{_TEXTS[name]} By default the preset's.", None)
        for name, kind in _KINDS.items()
    ],
    frozen=True,
)


class SamplerOptions(_Options):  # type: ignore[valid-type,misc]
    """What a command line says about the sampler; None where it says nothing."""

    def given(self):
        """The options that were given, as arguments of `Sampling.replace`."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None}


def _kind_of_values(kind):
    """The kind of one value of a field: without the None that leaves it to the model."""
    return typing.get_args(kind)[0] if isinstance(kind, types.UnionType) else kind


_Sweep = dataclasses.make_dataclass(
    "_Sweep",
    [
        _option(
            f"sweep_{name}",
            tuple[_kind_of_values(_KINDS[name]), ...],  # type: ignore[misc]
            f"{name} to try, values of --{name.replace('_', '-')}.",
            (),
        )
        for name in AXES
    ],
    frozen=True,
)


class SweepOptions(_Sweep):  # type: ignore[valid-type,misc]
    """Values to try of the fields of `Sampling`."""

    def given(self):
        """The axes that were given, as arguments of `sweep_samplers`."""
        values = {name: getattr(self, f"sweep_{name}") for name in AXES}
        return {name: tried for name, tried in values.items() if tried}


# As a parameter of a command: --temperature, not --sampler.temperature.
SamplerArguments = tyro.conf.OmitArgPrefixes[SamplerOptions]
SweepArguments = tyro.conf.OmitArgPrefixes[SweepOptions]
