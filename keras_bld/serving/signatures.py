"""The functions that an exported model offers: plain tensors in, uint8 out."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import ops

from keras_bld.base import checks
from keras_bld.base.images import to_uint8

# A graph cannot raise: a value below is taken as this one.
SMALLEST_TEMPERATURE = 1e-3


@dataclass(frozen=True)
class Signature:
    """A function to export, called by the names of its inputs, and their specification."""

    function: Callable
    inputs: dict


def autoencoder_signatures(autoencoder):
    """`encode` and `decode` of an autoencoder, for any batch size.

    Codes are uint8 where they are bits, else float32.

    Returns:
        Name -> `Signature`.
    """
    images = keras.InputSpec(shape=(None, *autoencoder.image_shape), dtype="uint8")
    dtype = "uint8" if checks.has_binary_codes(autoencoder) else "float32"
    codes = keras.InputSpec(shape=(None, *autoencoder.code_shape), dtype=dtype)

    def encode(images):
        return {"codes": ops.cast(autoencoder.encode(images), dtype)}

    def decode(codes):
        return {"images": to_uint8(autoencoder.decode(codes))}

    return {
        "encode": Signature(encode, {"images": images}),
        "decode": Signature(decode, {"codes": codes}),
    }


def diffusion_signatures(model, sampling, batch_size, text_length=None):
    """`generate` and `inpaint` of a model, or `generate_codes` where it has no autoencoder.

    Args:
        model: a `BinaryLatentDiffusion`.
        sampling: a `Sampling`; its temperature and guidance scale are inputs of the functions.
        batch_size: images for each call.
        text_length: number of text tokens of a model with cross-attention.

    Returns:
        Name -> `Signature`.

    Raises:
        ValueError: an argument outside its range.
    """
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    sample = _checked(model, model.sampler_function(sampling, batch_size))
    scalars = {
        "seed": keras.InputSpec(shape=(), dtype="int32"),
        **_condition_input(model.denoiser, batch_size, text_length),
        **{name: keras.InputSpec(shape=(), dtype="float32") for name in sampling.split()[1]},
    }
    if model.autoencoder is None:
        return {"generate_codes": Signature(_generate_codes(sample), scalars)}
    shape = (batch_size, *model.autoencoder.image_shape)
    inpaint_inputs = {
        "images": keras.InputSpec(shape=shape, dtype="uint8"),
        "mask": keras.InputSpec(shape=shape[:-1], dtype="uint8"),
        **scalars,
    }
    return {
        "generate": Signature(_generate(model, sample), scalars),
        "inpaint": Signature(_inpaint(model, sample), inpaint_inputs),
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


def _checked(model, sample):
    """`sample` for inputs by the names of a signature, pushed into their ranges."""
    num_classes = model.denoiser.num_classes

    def run(temperature, guidance_scale, labels=None, text_embeddings=None, **inputs):
        condition = text_embeddings if labels is None else ops.clip(labels, 0, num_classes - 1)
        if condition is not None:
            inputs["condition"] = condition
        return sample(
            first_index=0,
            temperature=ops.maximum(temperature, SMALLEST_TEMPERATURE),
            guidance_scale=ops.maximum(guidance_scale, 0.0),
            **inputs,
        )

    return run


def _generate_codes(sample):
    def generate_codes(**inputs):
        return {"codes": ops.cast(sample(**inputs), "uint8")}

    return generate_codes


def _generate(model, sample):
    def generate(**inputs):
        return {"images": to_uint8(model.autoencoder.decode(sample(**inputs)))}

    return generate


def _inpaint(model, sample):
    autoencoder = model.autoencoder

    def inpaint(images, mask, **inputs):
        is_new = mask > 0
        known_mask = 1.0 - _touched_cells(is_new, model.code_shape)
        made = sample(known_codes=autoencoder.encode(images), known_mask=known_mask, **inputs)
        made = to_uint8(autoencoder.decode(made))
        return {"images": ops.where(is_new[..., None], made, images)}

    return inpaint


def _touched_cells(is_new, code_shape):
    """1 for the bits of cells with a pixel to fill: the tensor form of `inpainting.code_mask`."""
    batch, height, width = is_new.shape
    rows, columns, bits = code_shape
    blocks = ops.reshape(is_new, (batch, rows, height // rows, columns, width // columns))
    touched = ops.cast(ops.any(blocks, axis=(2, 4)), "float32")
    return ops.broadcast_to(touched[..., None], (batch, rows, columns, bits))
