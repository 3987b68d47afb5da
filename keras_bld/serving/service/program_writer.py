"""From a preset to a program; run in a process of its own, because it imports Keras."""

import json
import sys

import numpy as np

from keras_bld.autoencoder import BinaryAutoencoder, Decoder, Encoder, with_decoder
from keras_bld.base import checks
from keras_bld.base.files import replace_directory
from keras_bld.base.runs import short_errors
from keras_bld.base.version import __version__
from keras_bld.diffusion import BernoulliDenoiser, BinaryLatentDiffusion
from keras_bld.presets import load_preset
from keras_bld.presets.reading import fingerprint_of, read_metadata
from keras_bld.serving.openvino_autoencoder import decoder_graph, encoder_graph
from keras_bld.serving.openvino_denoiser import DenoiserInputs, denoiser_graph
from keras_bld.serving.openvino_graph import values
from keras_bld.serving.service.program import ARRAYS, FILES, FORMAT, MARKER, PARTS

_ABOUT = ("licence", "data", "metric")


def write_program_of(model, directory, preset, metadata):
    """Write the program of a model.

    Args:
        model: a `BinaryLatentDiffusion` with a `BinaryAutoencoder`.
        directory: of the program; an older one there is replaced.
        preset: what the service calls it.
        metadata: of the preset.

    Raises:
        ValueError, TypeError: a model that the service cannot run.
    """
    import openvino

    _check(model, metadata)
    denoiser, autoencoder = model.denoiser, model.autoencoder
    graphs = (denoiser_graph(denoiser), decoder_graph(autoencoder), encoder_graph(autoencoder))
    description = {
        "format": FORMAT,
        "keras_bld_version": __version__,
        "preset": preset,
        "files": metadata["files"],
        "image_shape": list(autoencoder.image_shape),
        "code_shape": list(model.code_shape),
        "num_tokens": denoiser.num_tokens,
        "signal_levels": model.schedule.k.tolist(),
        "target": model.target,
        "sampling": model.sampling.to_dict(),
        "condition": denoiser.condition_kind,
        "num_classes": denoiser.num_classes,
        "class_names": None if model.class_names is None else list(model.class_names),
        "text_encoder": metadata.get("text_encoder"),
        "about": {name: metadata.get(name) for name in _ABOUT},
    }
    with replace_directory(directory, MARKER, FILES) as folder:
        for part, graph in zip(PARTS, graphs, strict=True):
            openvino.save_model(graph, folder / f"{part}.xml", compress_to_fp16=False)
        np.savez(folder / ARRAYS, **_arrays(model))
        description["contents"] = {name: fingerprint_of(folder / name) for name in FILES[1:]}
        (folder / MARKER).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def _arrays(model):
    """What stands beside the graphs: see `Networks`."""
    head = model.autoencoder.code_logits
    arrays = {
        "times": DenoiserInputs(model.denoiser).times,
        "head_kernel": values(head.kernel),
        "head_bias": values(head.bias),
    }
    embedding = model.denoiser.condition_embedding
    if model.denoiser.condition_kind == "class":
        arrays["classes"] = values(embedding.embeddings)
    elif embedding is not None:
        arrays["text_kernel"] = values(embedding.kernel)
        arrays["text_bias"] = values(embedding.bias)
    return arrays


def _check(model, metadata):
    checks.check_makes_images(model, metadata.get("preset", "the preset"))
    for part_of, kind in (
        (lambda: model, BinaryLatentDiffusion),
        (lambda: model.denoiser, BernoulliDenoiser),
        (lambda: model.autoencoder, BinaryAutoencoder),
        (lambda: model.autoencoder.encoder, Encoder),
        (lambda: model.autoencoder.decoder, Decoder),
    ):
        part = part_of()
        if type(part) is not kind:
            raise _cannot(f"a {type(part).__name__}", f"a {kind.__name__}")
    height, width, _ = model.autoencoder.image_shape
    if height != width:
        raise _cannot(f"a model of {height} x {width} pixels", "a model of square images")
    kind = model.denoiser.condition_kind
    if kind == "cross_attention" or (kind == "token" and not metadata.get("text_encoder")):
        raise _cannot(f"a model of text ({kind})", "a model of text whose preset names its encoder")


def _cannot(received, expected):
    return checks.error("preset", received, expected, "call it in Python: model.generate(...)")


def main(preset, directory, decoder="full"):
    """Write the program of a preset with one of its decoders; an error is one line."""
    with short_errors():
        model = load_preset(preset, expected_class="BinaryLatentDiffusion")
        checks.check_makes_images(model, preset)
        model = with_decoder(model, decoder)
        metadata = read_metadata(preset)
        write_program_of(model, directory, str(preset).rstrip("/").rpartition("/")[2], metadata)


if __name__ == "__main__":
    main(*sys.argv[1:])
