"""The functions that an exported model offers: plain tensors in, uint8 out."""

from dataclasses import dataclass

import keras
from keras import ops

from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.diffusion.generation import SamplerSettings
from keras_bld.diffusion.posterior import POSTERIORS
from keras_bld.diffusion.sampler import FINALS

# A graph cannot raise: a value below is taken as this one.
SMALLEST_TEMPERATURE = 1e-3


@dataclass(frozen=True)
class Signature:
    """A function to export and the specification of its inputs, in the order of its arguments."""

    function: callable
    inputs: dict


def autoencoder_signatures(autoencoder):
    """`encode` and `decode` of an autoencoder, for any batch size.

    Returns:
        Name -> `Signature`.
    """
    images = keras.InputSpec(shape=(None, *autoencoder.image_shape), dtype="uint8")
    codes = keras.InputSpec(shape=(None, *autoencoder.code_shape), dtype="uint8")

    def encode(images):
        return {"codes": ops.cast(autoencoder.encode(images), "uint8")}

    def decode(codes):
        return {"images": to_uint8(autoencoder.decode(codes))}

    return {
        "encode": Signature(encode, {"images": images}),
        "decode": Signature(decode, {"codes": codes}),
    }


def diffusion_signatures(model, num_steps, batch_size, posterior, final, text_length):
    """`generate` and `inpaint` of a model, or `generate_codes` where it has no autoencoder.

    Args:
        model: a `BinaryLatentDiffusion`.
        num_steps, batch_size, posterior, final: see `export_saved_model`.
        text_length: number of text tokens of a model with cross-attention.

    Returns:
        Name -> `Signature`.

    Raises:
        ValueError: an argument outside its range.
    """
    checks.check_choice("posterior", posterior, POSTERIORS)
    checks.check_choice("final", final, FINALS)
    settings = {
        "num_steps": model.check_num_steps(num_steps),
        "batch_size": checks.check_integer("batch_size", batch_size, 1),
        "posterior": posterior,
        "final": final,
        "conditional": model.is_conditional,
    }
    condition = _condition_input(model.denoiser, settings["batch_size"], text_length)
    scalars = {
        "seed": keras.InputSpec(shape=(), dtype="int32"),
        **condition,
        "temperature": keras.InputSpec(shape=(), dtype="float32"),
        "guidance_scale": keras.InputSpec(shape=(), dtype="float32"),
    }
    if model.autoencoder is None:
        return {"generate_codes": Signature(_generate_codes(model, settings), scalars)}
    shape = (settings["batch_size"], *model.autoencoder.image_shape)
    inpaint_inputs = {
        "images": keras.InputSpec(shape=shape, dtype="uint8"),
        "mask": keras.InputSpec(shape=shape[:-1], dtype="uint8"),
        **scalars,
    }
    return {
        "generate": Signature(_generate(model, settings), scalars),
        "inpaint": Signature(_inpaint(model, settings), inpaint_inputs),
    }


def _condition_input(denoiser, batch_size, text_length):
    kind = denoiser.condition_kind
    if kind == "cross_attention":
        text_length = checks.check_integer("text_length", text_length, 1)
    elif text_length is not None:
        raise checks.error(
            "text_length",
            f"{text_length} for a model without cross-attention",
            "None",
            "leave it out",
        )
    if kind is None:
        return {}
    if kind == "class":
        return {"labels": keras.InputSpec(shape=(batch_size,), dtype="int32")}
    shape = (batch_size, denoiser.text_width)
    if kind == "cross_attention":
        shape = (batch_size, text_length, denoiser.text_width)
    return {"text_embeddings": keras.InputSpec(shape=shape, dtype="float32")}


def _sampler(model, settings, inpaints=False):
    """A function (seed, [condition], temperature, guidance_scale, *known) -> codes."""
    sample = model.sampler_function(SamplerSettings(**settings, inpaints=inpaints))
    num_classes = model.denoiser.num_classes

    def run(seed, *rest):
        condition, rest = rest[: model.is_conditional], rest[model.is_conditional :]
        temperature, guidance_scale, *known = rest
        if num_classes is not None:
            condition = [ops.clip(condition[0], 0, num_classes - 1)]
        temperature = ops.maximum(temperature, SMALLEST_TEMPERATURE)
        guidance_scale = ops.maximum(guidance_scale, 0.0)
        return sample(seed, 0, temperature, guidance_scale, *condition, *known)

    return run


def _generate_codes(model, settings):
    sample = _sampler(model, settings)

    def generate_codes(*arguments):
        return {"codes": ops.cast(sample(*arguments), "uint8")}

    return generate_codes


def _generate(model, settings):
    sample = _sampler(model, settings)

    def generate(*arguments):
        return {"images": to_uint8(model.autoencoder.decode(sample(*arguments)))}

    return generate


def _inpaint(model, settings):
    sample = _sampler(model, settings, inpaints=True)
    autoencoder = model.autoencoder

    def inpaint(images, mask, *arguments):
        is_new = mask > 0
        known = 1.0 - _touched_cells(is_new, model.code_shape)
        made = autoencoder.decode(sample(*arguments, autoencoder.encode(images), known))
        return {"images": ops.where(is_new[..., None], to_uint8(made), images)}

    return inpaint


def _touched_cells(is_new, code_shape):
    """1 for the bits of cells with a pixel to fill: the tensor form of `inpainting.code_mask`."""
    batch, height, width = is_new.shape
    rows, columns, bits = code_shape
    blocks = ops.reshape(is_new, (batch, rows, height // rows, columns, width // columns))
    touched = ops.cast(ops.any(blocks, axis=(2, 4)), "float32")
    return ops.broadcast_to(touched[..., None], (batch, rows, columns, bits))
