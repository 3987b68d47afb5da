"""Writes the graphs of an export: `python -m keras_bld.serving.graph_writer REQUEST.json`.

In TensorFlow, which every format is made of. On another backend the model comes as a preset into a
process of its own, because a preset knows no backend.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from keras.config import backend as backend_name

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.serving.formats import FORMATS

_BACKEND = "tensorflow"


def write_graphs(model, folder, format, sampling, batch_size, text_length, weights):
    """Write the parts of an export, here or in a process with TensorFlow.

    Args:
        model: a `BinaryLatentDiffusion` or an autoencoder, without training parts.
        folder: empty directory.
        format: a name of `FORMATS`.
        sampling: a `Sampling`; None for an autoencoder.
        batch_size: rows of a call; None for any number.
        text_length: number of text tokens of a model with cross-attention.
        weights: one of the format's `weights`.

    Returns:
        Name of a part -> {"file", "inputs", "output", "dtypes"}.
    """
    for package in FORMATS[format].packages:
        import_optional(package, "serve" if format == "openvino" else "export")
    if backend_name() == _BACKEND:
        return _write(model, folder, format, sampling, batch_size, text_length, weights)
    from keras_bld.presets import save_preset

    options = {
        "folder": str(folder),
        "format": format,
        "sampling": None if sampling is None else sampling.to_dict(),
        "batch_size": batch_size,
        "text_length": text_length,
        "weights": weights,
    }
    with tempfile.TemporaryDirectory() as place:
        preset, request = pathlib.Path(place) / "preset", pathlib.Path(place) / "request.json"
        save_preset(model, preset)
        request.write_text(json.dumps({"preset": str(preset), **options}))
        command = [sys.executable, "-m", __name__, str(request)]
        environment = {**os.environ, "KERAS_BACKEND": _BACKEND}
        finished = subprocess.run(command, capture_output=True, text=True, env=environment)
        if finished.returncode != 0:
            raise checks.error(
                "model",
                f"a model that a process with KERAS_BACKEND={_BACKEND} cannot export "
                f"({last_line(finished.stderr)})",
                f"one that {_BACKEND}, which writes every format, can load from a preset",
                f"save a preset, and export it in a program with KERAS_BACKEND={_BACKEND}",
            )
        return json.loads(request.with_suffix(".answer").read_text())


def last_line(text):
    """The last line of what a process said."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def _write(model, folder, format, sampling, batch_size, text_length, weights):
    from keras_bld.serving.tensorflow_saved_model import write_saved_model
    from keras_bld.serving.tensorflow_to_litert import write_litert
    from keras_bld.serving.tensorflow_to_onnx import write_onnx
    from keras_bld.serving.tensorflow_to_openvino import write_openvino

    writers = {
        "tf_saved_model": write_saved_model,
        "openvino": write_openvino,
        "onnx": write_onnx,
        "litert": write_litert,
    }
    signatures = graph_signatures(model, format, sampling, text_length)
    files = writers[format](model, signatures, folder, batch_size, weights)
    return {
        name: {
            "file": files[name],
            "inputs": {key: given.dtype for key, given in signature.inputs.items()},
            "output": signature.output,
        }
        for name, signature in signatures.items()
    }


def graph_signatures(model, format, sampling, text_length):
    """Name -> `Signature` of the graphs that a format is made of."""
    from keras_bld.serving import signatures

    if sampling is None:
        return signatures.autoencoder_signatures(model)
    arguments = (model, sampling, text_length)
    if format == "tf_saved_model":
        made = signatures.whole_signatures(*arguments)
    elif FORMATS[format].loops:
        made = signatures.sample_signature(*arguments)
    else:
        made = signatures.step_signature(*arguments)
    if model.autoencoder is not None:
        made |= signatures.autoencoder_signatures(model.autoencoder)
    return made


def _main(path):
    from keras_bld.presets import load_preset

    request = json.loads(pathlib.Path(path).read_text())
    model = load_preset(request.pop("preset"))
    sampling = request.pop("sampling")
    if sampling is not None:
        sampling = model.sampling_class.of(sampling)
    folder = pathlib.Path(request.pop("folder"))
    answer = _write(model, folder, sampling=sampling, **request)
    pathlib.Path(path).with_suffix(".answer").write_text(json.dumps(answer))


if __name__ == "__main__":
    _main(sys.argv[1])
