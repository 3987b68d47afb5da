"""`keras-bld export`."""

from typing import Literal

from keras_bld.base.runs import short_errors
from keras_bld.commands.sampler_options import SamplerArguments, SamplerOptions
from keras_bld.serving.formats import FORMATS, WEIGHTS


def export_command(
    preset: str,
    out: str,
    /,
    *,
    format: Literal[*FORMATS] = "tf_saved_model",  # type: ignore[valid-type]
    weights: Literal[*WEIGHTS] = "float32",  # type: ignore[valid-type]
    batch_size: int | None = None,
    text_length: int | None = None,
    decoder: Literal["full", "small"] = "full",
    verify: bool = True,
    sampler: SamplerArguments = SamplerOptions(),  # noqa: B008 (frozen)
):
    """Write a model for serving: a folder that runs without Keras and without this library.

    Prints sizes, times, and the share of values in which the export differs from the model. Works
    on every backend; TensorFlow writes the graphs.

    Args:
        preset: name or directory of a BinaryLatentDiffusion or of an autoencoder.
        out: directory to write.
        format: of the graphs.
        weights: how they are stored; int8 changes the pictures, bfloat16 is not for litert.
        batch_size: pictures in a call, fixed in the graphs; by default any number.
        text_length: number of text tokens, for a model with cross-attention.
        decoder: small is quicker, for presets that have one (distill-decoder).
        verify: run the export in a process without Keras and compare it with the model.
        sampler: the fields of `Sampling`; temperature and guidance scale stay inputs of the
            exported functions.
    """
    with short_errors():
        from keras_bld.zoo import load_preset, read_metadata

        load_preset(preset).export(
            out,
            format=format,
            weights=weights,
            batch_size=batch_size,
            text_length=text_length,
            decoder=decoder,
            metadata=read_metadata(preset),
            verify=verify,
            verbose=True,
            **sampler.given(),
        )
    print(out)
