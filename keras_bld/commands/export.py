"""`keras-bld export`."""

from keras_bld.base.runs import short_errors
from keras_bld.commands.sampler_options import SamplerArguments, SamplerOptions


def export_command(
    preset: str,
    out: str,
    /,
    *,
    batch_size: int = 1,
    text_length: int | None = None,
    sampler: SamplerArguments = SamplerOptions(),  # noqa: B008 (frozen)
):
    """Write a SavedModel with the functions generate, inpaint, encode and decode.

    With TensorFlow or JAX (`KERAS_BACKEND=jax keras-bld export ...`).

    Args:
        preset: name or directory of a BinaryLatentDiffusion.
        out: directory to write.
        batch_size: images for each call of generate and inpaint.
        text_length: number of text tokens, for a model with cross-attention.
        sampler: the fields of `Sampling`; temperature and guidance scale stay inputs of the
            exported functions.
    """
    with short_errors():
        from keras_bld.zoo import load_preset

        model = load_preset(preset, expected_class="BinaryLatentDiffusion")
        model.export(out, batch_size=batch_size, text_length=text_length, **sampler.given())
    print(out)
