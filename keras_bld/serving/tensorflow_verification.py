"""Verification of a SavedModel against the model that it came from."""

import math
import pathlib

import numpy as np

from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.base.json_files import TEXT, Kind, list_of, read_json, whole
from keras_bld.serving.saved_model import MARKER, SETTINGS

_TEMPERATURE = 0.9
_GUIDANCE_SCALE = 1.5
_OF_THE_AUTOENCODER = ("encode", "decode")
_LARGEST_INPUT = 2**28  # numbers
_WHAT_IT_SHOULD_BE = ("a directory that export_saved_model wrote", "export the model again")
_SIGNATURES = Kind(
    "a list of inputs for each signature",
    lambda signatures: (
        isinstance(signatures, dict) and all(map(list_of(TEXT).holds, signatures.values()))
    ),
)


def verify_saved_model(path, model, seed=0):
    """Run every signature and the library's own function on the same inputs.

    Args:
        path: what `export_saved_model` wrote.
        model: the model that was exported.
        seed: int in [0, 2**31), of the samples and of the inputs.

    Returns:
        Signature's name -> share of values (bits, or levels of pixels) that differ. Bits differ
        where rounding breaks a tie the other way: at most about one in a thousand.

    Raises:
        ValueError: `path` holds no such SavedModel, a damaged one, or one of another kind of
            model.

    Example:

    >>> verify_saved_model(model.export("served"), model)  # doctest: +SKIP
    {'generate': 0.0, 'inpaint': 0.0, 'encode': 0.0, 'decode': 0.0}
    """
    import tensorflow as tf

    path = pathlib.Path(path)
    if not (path / MARKER).is_file() or not (path / SETTINGS).is_file():
        raise checks.error(
            "path",
            f"{path}, which holds no {MARKER} and {SETTINGS}",
            *_WHAT_IT_SHOULD_BE,
        )
    settings = _read_settings(path, model)
    with checks.as_error(lambda reason: _damaged(path, reason)):
        served = tf.saved_model.load(str(path))
    shares = {}
    for name, names in settings["signatures"].items():
        with checks.as_error(lambda reason: _damaged(path, reason)):
            function = served.signatures[name]
            inputs = _inputs(function, names, model, seed)
            outputs = function(**{key: tf.constant(value) for key, value in inputs.items()})
            (received,) = [value.numpy() for value in outputs.values()]
        expected = _expected(model, name, inputs, settings)
        if received.shape != expected.shape:
            raise checks.error(
                "model",
                f"a model that makes {expected.shape} where the SavedModel makes {received.shape}",
                "the model that was exported",
                "export this model, or pass the other one",
            )
        shares[name] = float(np.mean(received != expected))
    return shares


def _damaged(path, reason):
    return checks.error(
        "path", f"{path}, a SavedModel that is damaged ({reason})", *_WHAT_IT_SHOULD_BE
    )


def _read_settings(path, model):
    """The settings beside a SavedModel, with all that `_expected` wants to know of them."""
    words = (path / SETTINGS, "path", *_WHAT_IT_SHOULD_BE)
    signatures = read_json(*words, {"signatures": _SIGNATURES})["signatures"]
    needed = {}
    if not set(signatures).issubset(_OF_THE_AUTOENCODER):
        if not hasattr(model, "sampling"):
            raise checks.error(
                "model",
                f"a {type(model).__name__} for a SavedModel with {', '.join(signatures)}",
                "the model that was exported",
                "pass the diffusion model",
            )
        anything = Kind("a setting of the sampler", lambda value: True)
        needed = dict.fromkeys(model.sampling.split()[0], anything)
        needed["batch_size"] = whole(1, 2**16)
    return read_json(*words, needed)


def _inputs(function, names, model, seed):
    """Random inputs of the shapes and types that a signature asks for."""
    specifications = function.structured_input_signature[1]
    random = np.random.default_rng(seed)
    inputs = {}
    for name in names:
        shape = [2 if size is None else size for size in specifications[name].shape]
        if math.prod(shape) > _LARGEST_INPUT:
            raise ValueError(f"an input `{name}` of shape {shape}")
        if name == "seed":
            value = np.int32(seed)
        elif name == "labels":
            value = random.integers(0, model.denoiser.num_classes, shape, dtype="int32")
        elif name == "images":
            value = random.integers(0, 256, shape, dtype="uint8")
        elif name in ("codes", "mask"):
            value = random.integers(0, 2, shape, dtype="uint8")
        elif name == "temperature":
            value = np.float32(_TEMPERATURE)
        elif name == "guidance_scale":
            value = np.float32(_GUIDANCE_SCALE if model.is_conditional else 0.0)
        else:
            value = random.normal(size=shape).astype("float32")
        inputs[name] = value
    return inputs


def _expected(model, name, inputs, settings):
    """What the library returns, as uint8."""
    autoencoder = getattr(model, "autoencoder", None) or model
    if name == "encode":
        return autoencoder.encode(inputs["images"]).astype("uint8")
    if name == "decode":
        return to_uint8(autoencoder.decode(inputs["codes"]))
    sampling = {key: settings[key] for key in (*model.sampling.split()[0], "batch_size")}
    sampling |= {key: value for key, value in inputs.items() if key not in ("images", "mask")}
    for key in ("seed", "temperature", "guidance_scale"):
        sampling[key] = sampling[key].item()
    if name == "inpaint":
        return to_uint8(model.inpaint(inputs["images"], inputs["mask"], **sampling))
    if name == "generate":
        return to_uint8(model.generate(settings["batch_size"], **sampling))
    return model.generate_codes(settings["batch_size"], **sampling).astype("uint8")
