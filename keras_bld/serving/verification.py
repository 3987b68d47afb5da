"""Verification of an export: its own client, without Keras, against the model that it came from."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.base.json_files import RECORD, TEXT, none_or, read_json, whole
from keras_bld.serving.formats import FORMATS
from keras_bld.serving.graph_writer import last_line

MANIFEST = "manifest.json"
_BLOCKED = ("keras", "tf_keras", "keras_bld", "jax", "torch", "tensorflow")
_NUM_ROWS = 3
_TEMPERATURE = 0.9
_GUIDANCE_SCALE = 1.5
_PROCESS = pathlib.Path(__file__).with_name("clean_process.py")
_WHAT_IT_SHOULD_BE = ("a directory that model.export wrote", "export the model again")
_OF_THE_AUTOENCODER = {"encode", "decode"}
_FIELDS = {
    "format": TEXT,
    "parts": RECORD,
    "requests": RECORD,
    "batch_size": none_or(whole(1, 2**16)),
    "sampling": none_or(RECORD),
}


def verify_export(path, model, seed=0):
    """Make the same pictures with an export and with the library.

    The export runs in a process of its own, in which neither Keras nor this library can be
    imported.

    Args:
        path: what `model.export` wrote.
        model: the model that was exported, on any backend.
        seed: int in [0, 2**31), of the samples and of the inputs.

    Returns:
        What was asked -> share of values (bits, or levels of pixels) that differ. Bits differ where
        rounding breaks a tie the other way: at most about one in a thousand with float32 weights.

    Raises:
        ValueError: `path` holds no such export, a damaged one, or one of another kind of model.

    Example:

    >>> verify_export(model.export("served"), model)  # doctest: +SKIP
    {'generate': 0.0, 'inpaint': 0.0, 'encode': 0.0, 'decode': 0.0}
    """
    return run_and_compare(path, model, seed)[0]


def run_and_compare(path, model, seed=0):
    """(Shares as of `verify_export`, seconds to load and of each request for one batch)."""
    path = pathlib.Path(path)
    manifest = _read_manifest(path, model)
    calls = _calls(manifest["requests"], model, seed)
    with tempfile.TemporaryDirectory() as place:
        answers, times = _ask(path, pathlib.Path(place), manifest["format"], calls)
    shares = {}
    for (name, request, values), received in zip(calls, answers, strict=True):
        expected = _expected(model, request, values, manifest["sampling"])
        if received.shape != expected.shape:
            raise checks.error(
                "model",
                f"a model that makes {expected.shape} where the export makes {received.shape}",
                "the model that was exported",
                "export this model, or pass the other one",
            )
        shares[name] = float(np.mean(received != expected))
    return shares, times


def _read_manifest(path, model):
    if not (path / MANIFEST).is_file():
        raise checks.error("path", f"{path}, which holds no {MANIFEST}", *_WHAT_IT_SHOULD_BE)
    manifest = read_json(path / MANIFEST, "path", *_WHAT_IT_SHOULD_BE, _FIELDS)
    if manifest["format"] not in FORMATS:
        raise checks.error("path", f"a format {manifest['format']!r}", *_WHAT_IT_SHOULD_BE)
    is_whole = not set(manifest["requests"]) <= _OF_THE_AUTOENCODER
    if is_whole != hasattr(model, "sampling"):
        raise checks.error(
            "model",
            f"a {type(model).__name__} for an export with {', '.join(manifest['requests'])}",
            "the model that was exported",
            "pass the other model",
        )
    return manifest


def _calls(requests, model, seed):
    """(name, request, values) of each call."""
    random = np.random.default_rng(seed)
    autoencoder = getattr(model, "autoencoder", model)
    calls = []
    for request in requests:
        values = {}
        if request in ("inpaint", "encode"):
            shape = (_NUM_ROWS, *autoencoder.image_shape)
            values["images"] = random.integers(0, 256, shape, dtype="uint8")
        if request == "decode":
            values["codes"] = autoencoder.encode(
                random.integers(0, 256, (_NUM_ROWS, *autoencoder.image_shape), dtype="uint8")
            )
            if checks.has_binary_codes(autoencoder):
                values["codes"] = values["codes"].astype("uint8")
        if request == "inpaint":
            values["mask"] = random.integers(0, 2, values["images"].shape[:-1], dtype="uint8")
        if request in _OF_THE_AUTOENCODER:
            calls.append((request, request, values))
            continue
        values |= {"seed": seed, "temperature": _TEMPERATURE}
        if not model.is_conditional:
            calls.append((request, request, values))
            continue
        spec = requests[request]
        if "labels" in spec:
            condition = {"labels": random.integers(0, model.denoiser.num_classes, _NUM_ROWS)}
        else:
            shape = (_NUM_ROWS, *spec["text_embeddings"]["shape"])
            condition = {"text_embeddings": random.normal(size=shape).astype("float32")}
        guided = {**values, **condition, "guidance_scale": _GUIDANCE_SCALE}
        calls.append((request, request, guided))
        if request.startswith("generate"):
            alone = {**values, "guidance_scale": 0}
            calls.append((f"{request}, without a condition", request, alone))
    return calls


def _ask(path, place, format, calls):
    """(The answers of the export's client, its times), from a clean process."""
    written = []
    for number, (_, request, values) in enumerate(calls):
        arrays = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
        plain = {key: value for key, value in values.items() if key not in arrays}
        if request.startswith("generate"):
            plain["num_images"] = _NUM_ROWS
        np.savez(place / f"{number}.npz", **arrays)
        written.append((request, plain))
    (place / "calls.json").write_text(json.dumps(written))
    blocked = ",".join(set(_BLOCKED) - {FORMATS[format].runtime})
    command = [sys.executable, "-P", str(_PROCESS), str(path.resolve()), str(place), blocked]
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=place)
    if finished.returncode != 0:
        raise checks.error(
            "path",
            f"{path}, an export that does not run ({last_line(finished.stderr)})",
            *_WHAT_IT_SHOULD_BE,
        )
    answers = [np.load(place / f"{number}.answer.npy") for number in range(len(calls))]
    return answers, json.loads((place / "times.json").read_text())


def _expected(model, request, values, sampling):
    """What the library returns, in the export's types."""
    autoencoder = getattr(model, "autoencoder", model)
    if request == "encode":
        codes = autoencoder.encode(values["images"])
        return codes.astype("uint8") if checks.has_binary_codes(autoencoder) else codes
    if request == "decode":
        return to_uint8(autoencoder.decode(values["codes"]))
    options = {key: value for key, value in values.items() if key not in ("images", "mask")}
    options["sampling"] = model.sampling_class.of(sampling)
    options["drop_condition"] = not {"labels", "text_embeddings"} & set(values)
    if request == "inpaint":
        return to_uint8(model.inpaint(values["images"], values["mask"], **options))
    if request == "generate":
        return to_uint8(model.generate(_NUM_ROWS, **options))
    return model.generate_codes(_NUM_ROWS, **options).astype("uint8")
