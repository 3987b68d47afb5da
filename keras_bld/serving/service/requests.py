"""What requests say: models of the bodies, made for one program, and what of them a worker gets."""

import base64
import binascii
import math
import random
import string
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from keras_bld.base import checks
from keras_bld.base.class_names import labels_of
from keras_bld.base.packing import BITS_PER_BYTE
from keras_bld.diffusion.targets import find_target

_MAX_SEED = 2**31 - 1
_LONGEST_PROMPT = 500
_STRICT = ConfigDict(extra="forbid", strict=True)


def _whole(value):
    # JSON has one kind of number, and 2.0 is an integer in its schemas.
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ErrorText(BaseModel):
    """Why a request was not answered."""

    message: str = Field(description="What was received, what is expected, how to mend it.")


class ErrorAnswer(BaseModel):
    """An answer that is none."""

    error: ErrorText


class ImagesAnswer(BaseModel):
    """Pictures."""

    images: list[str] = Field(description="PNG files in base64.")
    seed: int | None = Field(None, description="That makes these very images again.")


class CodesAnswer(BaseModel):
    """Codes."""

    codes: list[str] = Field(description="Packed codes as hexadecimal digits.")
    code_shape: list[int] = Field(description="(height, width, bits) of a code.")


class PresetAnswer(BaseModel):
    """A preset that the service makes images with."""

    name: str
    image_shape: list[int]
    code_shape: list[int]
    num_training_steps: int
    condition: Literal["class", "token"] | None
    class_names: list[str] | None
    sampling: dict[str, Any]
    about: dict[str, Any]
    files: dict[str, Any]


class PresetsAnswer(BaseModel):
    """All presets of the service."""

    presets: list[PresetAnswer]


class RequestModels:
    """The bodies that a program's service takes.

    Args:
        program: a `Program`.
        settings: `ServiceSettings`.

    Attributes:
        generate, inpaint, encode, decode: pydantic models.
    """

    def __init__(self, program, settings):
        self._description = program.description
        self._sampling = program.description["sampling"]
        self._settings = settings
        sampling = self._sampling_fields(program.num_training_steps)
        count = _optional(int, 1, "How many images.", ge=1, le=settings.max_count)
        picture = Annotated[
            str,
            Field(
                min_length=4,
                max_length=settings.max_image_bytes * 4 // 3 + 4,
                json_schema_extra={"format": "picture", "contentEncoding": "base64"},
                description="A PNG, JPEG or WebP picture in base64; its largest centred square "
                "is taken in the model's size.",
            ),
        ]
        many = {"min_length": 1, "max_length": settings.max_count}
        code = Annotated[str, Field(pattern=_code_pattern(program.description["code_shape"]))]
        self.generate = _model("Generate", count=count, **self._condition_fields(), **sampling)
        self.inpaint = _model(
            "Inpaint",
            image=(picture, ...),
            mask=(picture, ...),
            count=count,
            **self._condition_fields(" Without one, none is asked for."),
            **sampling,
        )
        self.encode = _model("Encode", images=(Annotated[list[picture], Field(**many)], ...))
        self.decode = _model("Decode", codes=(Annotated[list[code], Field(**many)], ...))

    def _sampling_fields(self, num_training_steps):
        fields = {
            "temperature": _optional(float, None, "Lower is less diverse.", ge=0.01, le=100.0),
            "seed": _optional(
                int, None, "The same seed makes the same images. One is drawn by default.",
                ge=0, le=_MAX_SEED,
            ),
        }  # fmt: skip
        if find_target(self._description["target"]).can_skip_steps:
            most = min(num_training_steps, self._settings.max_steps or num_training_steps)
            fields["steps"] = _optional(int, None, "Denoising steps.", ge=1, le=most)
        if self._description["condition"] is not None:
            words = "Classifier-free guidance, w; counts where there is a condition."
            fields["guidance"] = _optional(float, None, words, ge=0.0, le=100.0)
        return fields

    def _condition_fields(self, default=" Without one, all that the preset knows, in turn."):
        condition, most = self._description["condition"], self._settings.max_count
        if condition is None:
            return {}
        if condition == "token":
            kind = Annotated[str, Field(min_length=1, max_length=_LONGEST_PROMPT)]
            name, words = "prompt", "A text, or several that the images take in turn."
            default = " Without one, nothing is asked for."
        else:
            kind = _limited(int, ge=0, lt=self._description["num_classes"])
            names = self._description["class_names"] or ()
            unique = tuple(name for name in dict.fromkeys(names) if names.count(name) == 1)
            if unique:
                kind = kind | Literal[unique]
            name, words = "labels", "A class by name or number, or several, taken in turn."
        many = Annotated[list[kind], Field(min_length=1, max_length=most)]
        return {name: (kind | many | None, Field(None, description=words + default))}

    # From a body to what the worker gets: (header, blobs, number of images). ----------------

    def of_generate(self, body):
        """The job of a `generate` body."""
        labels = self._labels(body)
        if labels is None and self._description["condition"] == "class":
            labels = list(range(self._description["num_classes"]))
        header = {"kind": "generate", "labels": labels, **self._sampling_of(body)}
        return header, [], body.count

    def of_inpaint(self, body):
        """The job of an `inpaint` body."""
        header = {"kind": "inpaint", "labels": self._labels(body), **self._sampling_of(body)}
        return (
            header,
            [self._bytes(body.image, "image"), self._bytes(body.mask, "mask")],
            body.count,
        )

    def of_encode(self, body):
        """The job of an `encode` body."""
        blobs = [self._bytes(text, f"images[{place}]") for place, text in enumerate(body.images)]
        return {"kind": "encode"}, blobs, len(blobs)

    def of_decode(self, body):
        """The job of a `decode` body."""
        blobs = [bytes.fromhex(code) for code in body.codes]
        return {"kind": "decode"}, blobs, len(blobs)

    def _sampling_of(self, body):
        def given(name, default):
            value = getattr(body, name, None)
            return default if value is None else value

        prompts = getattr(body, "prompt", None)
        seed = given("seed", None)
        return {
            "count": body.count,
            "seed": random.SystemRandom().randint(0, _MAX_SEED) if seed is None else seed,
            "steps": given("steps", None),
            "temperature": given("temperature", self._sampling["temperature"]),
            "guidance": given("guidance", self._sampling["guidance_scale"]),
            "prompts": [prompts] if isinstance(prompts, str) else prompts,
        }

    def _labels(self, body):
        labels = getattr(body, "labels", None)
        if labels is None:
            return None
        labels = labels if isinstance(labels, list) else [labels]
        names, number = self._description["class_names"], self._description["num_classes"]
        return labels_of(labels, names, number).tolist()

    def _bytes(self, text, field):
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as reason:
            raise checks.error(
                field, f"no base64 ({reason})", "a picture in base64", "encode the file's bytes"
            ) from reason
        if len(content) > self._settings.max_image_bytes:
            most = self._settings.max_image_bytes
            raise checks.error(
                field, f"{len(content)} bytes", f"at most {most}", "send a smaller picture"
            )
        return content


def _model(name, **fields):
    return create_model(name, __config__=_STRICT, **fields)


def _optional(kind, default, words, **limits):
    kind = _limited(kind, **limits)
    return (kind if default is not None else kind | None), Field(default, description=words)


def _limited(kind, **limits):
    """A number within limits, which stand in the schema, too."""
    limited = Annotated[kind, Field(**limits)]
    return Annotated[limited, BeforeValidator(_whole)] if kind is int else limited


def _code_pattern(code_shape):
    """A regular expression for a packed code in hexadecimal digits: no bit beyond the channels."""
    *grid, num_channels = code_shape
    num_bytes, rest = divmod(num_channels, BITS_PER_BYTE)
    cell = f"[0-9a-f]{{{2 * num_bytes}}}" if num_bytes else ""
    if rest:
        cell += "".join(f"[{string.hexdigits[: digit + 1]}]" for digit in divmod(2**rest - 1, 16))
    return f"^(?:{cell}){{{math.prod(grid)}}}$"
