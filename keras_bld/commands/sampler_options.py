"""Sampler options of the command line: the fields of `Sampling`, each left to the preset."""

import dataclasses
import typing

import tyro

from keras_bld.diffusion.method_options import descriptions_of
from keras_bld.diffusion.sampling import Sampling


def _fields():
    texts, kinds = descriptions_of(Sampling), typing.get_type_hints(Sampling)
    for entry in dataclasses.fields(Sampling):
        text = f"{texts[entry.name]} By default the preset's."
        kind = typing.Annotated[kinds[entry.name] | None, tyro.conf.arg(help=text)]
        yield entry.name, kind, None


_Options = dataclasses.make_dataclass("_Options", _fields(), frozen=True)


class SamplerOptions(_Options):
    """What a command line says about the sampler; None where it says nothing."""

    def given(self):
        """The options that were given, as arguments of `Sampling.replace`."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}


# As a parameter of a command: --temperature, not --sampler.temperature.
SamplerArguments = tyro.conf.OmitArgPrefixes[SamplerOptions]
