"""The functions that an exported model offers, written once for every format.

Each row of a batch is a picture of its own, with its own seed, label and temperature: so a server
may put the rows of several requests into one batch, and a picture depends on its row alone.
"""

import dataclasses
import types
from collections.abc import Callable
from dataclasses import dataclass

from keras import ops

from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.base.random import MAX_SEED
from keras_bld.diffusion.sampler import guided_logits

SMALLEST_TEMPERATURE = 1e-3
NO_LABEL = -1


@dataclass(frozen=True)
class Input:
    """An input of a signature; its numbers are finite.

    Args:
        dtype: of the tensor.
        shape: of one row.
        meaning: in a few words.
        low, high: smallest and largest value; None for no bound.
        has_rows: one for each picture, or else one for the whole batch.
    """

    dtype: str
    shape: tuple
    meaning: str
    low: float | None = None
    high: float | None = None
    has_rows: bool = True

    def to_dict(self):
        """What the manifest and the client know of it."""
        return {**dataclasses.asdict(self), "shape": list(self.shape)}


@dataclass(frozen=True)
class Signature:
    """A function to export: tensors by the names of `inputs` -> the tensor called `output`."""

    function: Callable
    inputs: dict
    output: str


def autoencoder_signatures(autoencoder):
    """`encode` and `decode` of an autoencoder. Codes are uint8 where they are bits, else float32.

    Returns:
        Name -> `Signature`.
    """
    codes = _codes_input(autoencoder)

    def encode(images):
        return ops.cast(autoencoder.encode(images), codes.dtype)

    def decode(codes):
        return to_uint8(autoencoder.decode(codes))

    images = {"images": _images_input(autoencoder)}
    return {
        "encode": Signature(encode, images, "codes"),
        "decode": Signature(decode, {"codes": codes}, "images"),
    }


def whole_signatures(model, sampling, text_length=None):
    """`generate` and `inpaint`, or `generate_codes` of a model without an autoencoder.

    Args:
        model: a `BinaryLatentDiffusion`.
        sampling: a `Sampling`; its temperature and guidance scale are inputs of the functions.
        text_length: number of text tokens of a model with cross-attention.

    Returns:
        Name -> `Signature`.
    """
    rows = _row_inputs(model, text_length)
    if model.autoencoder is None:
        sample = _sampler(model, sampling)

        def generate_codes(**inputs):
            return ops.cast(sample(**inputs), "uint8")

        return {"generate_codes": Signature(generate_codes, rows, "codes")}
    images = _images_input(model.autoencoder)
    mask = Input("uint8", images.shape[:-1], "not 0 where new content goes")
    return {
        "generate": Signature(_generate(model, sampling), rows, "images"),
        "inpaint": Signature(
            _inpaint(model, sampling), {"images": images, "mask": mask, **rows}, "images"
        ),
    }


def sample_signature(model, sampling, text_length=None):
    """The whole chain of denoising, with codes that may be known in part: `sample`."""
    sample = _sampler(model, sampling)
    inputs = {**_row_inputs(model, text_length), **_known_inputs(model)}
    return {"sample": Signature(sample, inputs, "codes")}


def step_signature(model, sampling, text_length=None):
    """One step of denoising for a loop on the host, which draws the noise: `step`."""
    chosen = _fixed_settings(model, sampling)
    noise = Input("float32", tuple(model.code_shape), "uniform numbers of the step", 0.0, 1.0)

    def denoise(codes, step, noise, known_codes, known_mask, **rows):
        settings, condition, present = _settings_of_rows(model, chosen, rows)
        logits_of = guided_logits(model.denoiser, settings.guidance_scale, condition, present)
        known = (known_codes, known_mask)
        return model.make_step(settings, logits_of, lambda number: noise, known)(step, codes)

    rows = _row_inputs(model, text_length)
    last = sampling.num_calls(len(chosen["time_steps"])) - 1
    inputs = {
        "codes": Input("float32", tuple(model.code_shape), "bits of the step before", 0.0, 1.0),
        "step": Input("int32", (), "number of the step", 0, last, has_rows=False),
        "noise": noise,
        **{name: rows[name] for name in rows if name not in ("seed", "index")},
        **_known_inputs(model),
    }
    return {"step": Signature(denoise, inputs, "next_codes")}


def _row_inputs(model, text_length):
    denoiser = model.denoiser
    return {
        "seed": Input("int32", (), "seed of the picture", 0, MAX_SEED),
        "index": Input("int32", (), "which picture of the seed", 0, MAX_SEED),
        **_condition_input(denoiser, text_length),
        "temperature": Input("float32", (), "above 0", SMALLEST_TEMPERATURE),
        "guidance_scale": Input("float32", (), "of classifier-free guidance", 0.0),
    }


def _condition_input(denoiser, text_length):
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
        meaning = f"class; {NO_LABEL} for none"
        return {"labels": Input("int32", (), meaning, NO_LABEL, denoiser.num_classes - 1)}
    shape = (denoiser.text_width,) if kind == "token" else (text_length, denoiser.text_width)
    return {"text_embeddings": Input("float32", shape, "of a text; zeros alone for none")}


def _known_inputs(model):
    shape = tuple(model.code_shape)
    return {
        "known_codes": Input("float32", shape, "bits to keep", 0.0, 1.0),
        "known_mask": Input("float32", shape, "1 where a bit is kept", 0.0, 1.0),
    }


def _images_input(autoencoder):
    return Input("uint8", tuple(autoencoder.image_shape), "levels of pixels", 0, 255)


def _codes_input(autoencoder):
    shape = tuple(autoencoder.code_shape)
    if checks.has_binary_codes(autoencoder):
        return Input("uint8", shape, "bits", 0, 1)
    return Input("float32", shape, "latents")


def _fixed_settings(model, sampling):
    """What is the same for all pictures of an export."""
    return {**sampling.split()[0], "time_steps": model.time_grid(sampling)}


def _settings_of_rows(model, chosen, rows):
    """(settings of a step, the condition, the rows that have one) from the inputs of a row."""
    per_row = {
        name: ops.reshape(rows[name], (-1, 1, 1, 1)) for name in ("temperature", "guidance_scale")
    }
    condition = present = None
    if "labels" in rows:
        present = rows["labels"] > NO_LABEL
        condition = ops.maximum(rows["labels"], 0)
    elif "text_embeddings" in rows:
        condition = rows["text_embeddings"]
        present = ops.any(ops.not_equal(condition, 0.0), axis=tuple(range(1, len(condition.shape))))
    return types.SimpleNamespace(**chosen, **per_row), condition, present


def _sampler(model, sampling):
    """The chain for the inputs of a row."""
    sample = model.sampler_function(sampling, batch_size=None)
    chosen = _fixed_settings(model, sampling)

    def run(seed, index, known_codes=None, known_mask=None, **rows):
        settings, condition, present = _settings_of_rows(model, chosen, rows)
        return sample(
            seed=ops.reshape(seed, (-1, 1)),
            first_index=None,
            indices=index,
            condition=condition,
            condition_present=present,
            known_codes=known_codes,
            known_mask=known_mask,
            temperature=settings.temperature,
            guidance_scale=settings.guidance_scale,
        )

    return run


def _generate(model, sampling):
    sample = _sampler(model, sampling)

    def generate(**rows):
        return to_uint8(model.autoencoder.decode(sample(**rows)))

    return generate


def _inpaint(model, sampling):
    autoencoder, sample = model.autoencoder, _sampler(model, sampling)

    def inpaint(images, mask, **rows):
        is_new = mask > 0
        known_mask = 1.0 - _touched_cells(is_new, model.code_shape)
        made = sample(known_codes=autoencoder.encode(images), known_mask=known_mask, **rows)
        made = to_uint8(autoencoder.decode(made))
        return ops.where(is_new[..., None], made, images)

    return inpaint


def _touched_cells(is_new, code_shape):
    """1 for the bits of cells with a pixel to fill: the tensor form of `inpainting.code_mask`."""
    _, height, width = is_new.shape
    rows, columns, bits = code_shape
    blocks = ops.reshape(is_new, (-1, rows, height // rows, columns, width // columns))
    touched = ops.cast(ops.any(blocks, axis=(2, 4)), "float32")
    return ops.repeat(touched[..., None], bits, axis=-1)
