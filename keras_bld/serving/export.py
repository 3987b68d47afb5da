"""`model.export`: a folder with graphs, a client that runs them, and what is known of both."""

import importlib.metadata
import pathlib
import platform
import shutil
import sys
import warnings

from keras.config import backend as backend_name

from keras_bld.autoencoder.decoders import with_decoder
from keras_bld.base import checks
from keras_bld.base.files import replace_directory, user_path, write_json
from keras_bld.base.processor import processor_name
from keras_bld.base.version import __version__
from keras_bld.presets.fingerprint import autoencoder_fingerprint, generator_fingerprint
from keras_bld.presets.training_parts import without_training_parts
from keras_bld.serving.formats import FORMATS, WEIGHTS
from keras_bld.serving.graph_writer import write_graphs
from keras_bld.serving.signatures import autoencoder_signatures, whole_signatures
from keras_bld.serving.tensorflow_saved_model import VERSION
from keras_bld.serving.verification import MANIFEST, run_and_compare

CLIENT = "bld_client.py"  # also what shows that a folder is an export
# Of what an export with float32 weights may differ in: ties that rounding breaks the other way.
_LARGEST_SHARE = 0.01
_CREDITS = ("licence", "data", "files")
_OWNED = (
    CLIENT,
    MANIFEST,
    VERSION,
    *(
        f"{part}{end}"
        for part in ("sample", "step", "encode", "decode")
        for end in (".xml", ".bin", ".onnx", ".tflite")
    ),
)


def export_model(
    model,
    path,
    format="tf_saved_model",
    batch_size=None,
    text_length=None,
    weights="float32",
    decoder="full",
    metadata=None,
    verify=True,
    verbose=False,
    **sampling,
):
    """Write a model in a format that runs without Keras and without this library.

    The folder holds the graphs, `bld_client.py`, which runs them with NumPy and the format's
    runtime alone, and `manifest.json`: inputs with types, shapes and ranges, sizes, times, where
    the weights come from, and the share of values that differ from the library's. The client
    answers `generate`, `inpaint`, `encode` and `decode`; of a model without an autoencoder
    `generate_codes`; of an autoencoder the last two. Each picture has its own seed, index, label,
    temperature and guidance scale.

    Args:
        model: a `BinaryLatentDiffusion` or an autoencoder, on any backend. TensorFlow writes every
            format: on another backend in a process of its own.
        path: directory to write; an export there is replaced once the new one is complete.
        format: "tf_saved_model", "openvino", "onnx" or "litert". The first two hold the loop of
            denoising; for the others the client loops over one step.
        batch_size: rows of a call, fixed in the graphs; None for any number.
        text_length: number of text tokens, for a model with cross-attention only.
        weights: "float32", or stored as "float16", "bfloat16" (not in LiteRT) or "int8" and
            computed with in float32.
        decoder: "full", or "small" for the quick one of a model that has it (`distill_decoder`).
        metadata: of the preset, as `read_metadata` gives it; licence and data go into the manifest.
        verify: run the client in a clean process and compare it with the model.
        verbose: print sizes, times and shares.
        **sampling: fields of `Sampling`; left out, the model's own.

    Returns:
        The directory as a `pathlib.Path`.

    Raises:
        ValueError: a path that holds other files; an argument outside its range.
        ImportError: packages of the format are not installed (extras `export` and `serve`).

    Example:

    >>> export_model(model, "served", "onnx", num_steps=16)  # doctest: +SKIP
    """
    checks.check_choice("format", format, tuple(FORMATS))
    checks.check_choice("weights", weights, WEIGHTS)
    if weights not in FORMATS[format].weights:
        raise checks.error(
            "weights", repr(weights), f"one of {', '.join(FORMATS[format].weights)} in {format}",
            "take another type, or another format",
        )  # fmt: skip
    if batch_size is not None:
        batch_size = checks.check_integer("batch_size", batch_size, 1)
    model = with_decoder(without_training_parts(model), decoder)
    chosen = steps = None
    requests, autoencoder = {}, model
    if hasattr(model, "denoiser"):
        chosen = model.sampling.replace(**sampling)
        steps = len(model.time_grid(chosen))
        requests = whole_signatures(model, chosen, text_length)
        autoencoder = model.autoencoder
    elif sampling:
        raise checks.error(
            next(iter(sampling)), "an option of the sampler for an autoencoder", "none of them",
            "leave it out, or export the diffusion model", TypeError,
        )  # fmt: skip
    if autoencoder is not None:
        requests |= autoencoder_signatures(autoencoder)
    with replace_directory(path, CLIENT, _OWNED, argument="path") as folder:
        parts = write_graphs(model, folder, format, chosen, batch_size, text_length, weights)
        shutil.copyfile(pathlib.Path(__file__).with_name("client.py"), folder / CLIENT)
        manifest = {
            "format": format,
            "weights": weights,
            "batch_size": batch_size,
            "decoder": decoder,
            "sampling": None if chosen is None else {**chosen.to_dict(), "num_steps": steps},
            "num_calls": None if chosen is None else chosen.num_calls(steps),
            "parts": parts,
            "bytes": _sizes(folder),
            **_description(model, autoencoder, requests),
            "credits": {key: (metadata or {}).get(key) for key in _CREDITS},
            "versions": _versions(format),
        }
        write_json(folder / MANIFEST, manifest)
        if verify:
            shares, times = run_and_compare(folder, model)
            manifest |= {"different": shares, "seconds": times, "processor": processor_name()}
            write_json(folder / MANIFEST, manifest)
            _warn_of(shares, format, weights)
    if verbose:
        describe_export(manifest)
    return user_path(path).resolve()


def describe_export(manifest, file=None):
    """Print what a manifest says of sizes, times and differences."""
    file = file or sys.stdout
    total = sum(manifest["bytes"].values())
    print(f"{manifest['format']}, {manifest['weights']} weights: {total:,} bytes", file=file)
    for name, seconds in manifest.get("seconds", {}).items():
        print(f"  {name}: {1000 * seconds:.1f} ms", file=file)
    for name, share in manifest.get("different", {}).items():
        print(f"  {name}: {share:.2g} of the values differ from the library's", file=file)


def _sizes(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _description(model, autoencoder, requests):
    """What a client asks for, and of whom: hashes are the same on every backend."""
    described = {"class_name": type(model).__name__}
    if hasattr(model, "denoiser"):
        described["generator_fingerprint"] = generator_fingerprint(model)
    if autoencoder is not None:
        described["autoencoder_fingerprint"] = autoencoder_fingerprint(autoencoder)
    return {
        "model": described,
        "code_shape": list(model.code_shape),
        "requests": {
            name: {key: given.to_dict() for key, given in signature.inputs.items()}
            for name, signature in requests.items()
        },
    }


def _versions(format):
    packages = ("keras", "tensorflow", "numpy", *FORMATS[format].packages)
    return {
        "keras_bld": __version__,
        **{name: importlib.metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "backend": backend_name(),
    }


def _warn_of(shares, format, weights):
    worst = max(shares, key=shares.get)
    if weights == "float32" and shares[worst] > _LARGEST_SHARE:
        warnings.warn(
            f"The export as {format} differs from the model: {shares[worst]:.1%} of `{worst}`.",
            RuntimeWarning,
            stacklevel=3,
        )
