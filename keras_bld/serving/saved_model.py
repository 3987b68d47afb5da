"""Export to TensorFlow's SavedModel, which runs without Keras and without this library."""

import inspect
import json
import pathlib
import warnings

import keras
from keras.config import backend as backend_name

from keras_bld.base import checks
from keras_bld.base.files import replace_directory, user_path
from keras_bld.base.quiet import without_notes
from keras_bld.base.version import __version__
from keras_bld.presets.training_parts import without_training_parts
from keras_bld.serving.signatures import autoencoder_signatures, diffusion_signatures

MARKER = "saved_model.pb"
# TensorFlow Serving leaves the directory `assets.extra` to programs like this one.
SETTINGS = pathlib.Path("assets.extra") / "keras_bld.json"
# One program for both, whatever this machine has. (Left out, Keras sets the first to False on some
# machines, which newer JAX no longer has.)
_JAX_OPTIONS = {
    "native_serialization": True,
    "native_serialization_platforms": ("cpu", "cuda"),
}
_OWNED = (MARKER, "fingerprint.pb", "variables", "assets", "assets.extra")


def export_saved_model(
    model,
    path,
    batch_size=1,
    text_length=None,
    verbose=False,
    **sampling,
):
    """Write a model as a SavedModel with the functions that serve it.

    Signatures, each with named inputs and one named output:

    - `generate` (seed, [labels or text_embeddings], temperature, guidance_scale) -> images
    - `inpaint` (images, mask, and the inputs of `generate`) -> images; pixels with mask 0 come
      back unchanged, the others are new
    - `encode` (images) -> codes and `decode` (codes) -> images, for any batch size
    - for a model without an autoencoder only `generate_codes` (inputs of `generate`) -> codes

    Images, codes and masks are uint8 (0 ... 255, bits, 0 or 1); seed is an int32 scalar, labels
    are int32 (batch_size,), temperature and guidance_scale float32 scalars. The images are those
    of `model.generate(batch_size, ..., seed=seed)`: sample i depends on the seed and on i. A graph
    cannot raise: labels are clipped to the classes, the temperature to at least 0.001, the
    guidance scale to at least 0; an unconditional model ignores the guidance scale.

    Args:
        model: a `BinaryLatentDiffusion`, or a `BinaryAutoencoder` (`encode` and `decode` alone).
        path: directory to write; a SavedModel there is replaced once the new one is complete.
        batch_size: images for each call of `generate` and `inpaint`.
        text_length: number of text tokens, for a model with cross-attention only.
        verbose: print the signatures.
        **sampling: fields of `Sampling`; left out, the model's own.

    Returns:
        The directory as a `pathlib.Path`.

    Raises:
        ValueError: the torch backend, which Keras cannot export from; a path that holds other
            files; an argument outside its range.

    Example:

    >>> export_saved_model(model, "served", num_steps=16)  # doctest: +SKIP
    """
    if backend_name() not in ("tensorflow", "jax"):
        raise checks.error(
            "backend",
            f"the {backend_name()} backend",
            "tensorflow or jax, from which Keras exports a SavedModel",
            "save the model with save_to_preset(directory), then load it with load_preset and"
            " export it in a process with KERAS_BACKEND=tensorflow (or jax)",
        )
    model = without_training_parts(model)
    signatures, parts, served = {}, [model], {}
    if hasattr(model, "denoiser"):
        chosen = model.sampling.replace(**sampling)
        signatures |= diffusion_signatures(model, chosen, batch_size, text_length)
        steps = len(model.time_grid(chosen))
        served = {**chosen.to_dict(), "num_steps": steps, "batch_size": batch_size}
        parts = [part for part in (model.denoiser, model.autoencoder) if part is not None]
    if hasattr(parts[-1], "decode"):
        signatures |= autoencoder_signatures(parts[-1])
    record = {
        **served,
        "signatures": {name: list(signature.inputs) for name, signature in signatures.items()},
        "versions": {"keras_bld": __version__, "keras": keras.__version__},
        "backend": backend_name(),
    }
    with replace_directory(path, MARKER, _OWNED, argument="path") as folder:
        _write(signatures, parts, folder, verbose)
        (folder / SETTINGS).parent.mkdir()
        (folder / SETTINGS).write_text(json.dumps(record, indent=2) + "\n")
    return user_path(path).resolve()


def _write(signatures, parts, folder, verbose):
    archive = keras.export.ExportArchive()
    options = {}
    if backend_name() == "jax":
        # TensorFlow finds the variables in the functions; JAX has to be told. (Tracked also on
        # TensorFlow, each would be stored twice.)
        archive.track(_Weights([weight for part in parts for weight in part.weights]))
        options = {"jax2tf_kwargs": _JAX_OPTIONS}
    with warnings.catch_warnings():
        # Keras sets this parameter always.
        warnings.filterwarnings("ignore", "The `native_serialization` parameter is deprecated")
        for name, signature in signatures.items():
            function = _with_named_arguments(signature.function, name, signature.inputs)
            archive.add_endpoint(name, function, list(signature.inputs.values()), **options)
        with without_notes():
            archive.write_out(str(folder), verbose=verbose)


class _Weights(keras.Layer):
    """Weights for `ExportArchive.track`, all called trainable.

    What is not trainable is written back after each call of an exported function, a copy of the
    whole autoencoder, which is frozen.
    """

    def __init__(self, weights):
        super().__init__()
        self._served = weights
        self.built = True

    @property
    def trainable_variables(self):
        return self._served

    @property
    def non_trainable_variables(self):
        return []


def _with_named_arguments(function, name, arguments):
    """`function` for values by place: its signature gives the inputs their names."""

    def named(*values):
        return function(**dict(zip(arguments, values, strict=True)))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named.__name__ = name
    named.__signature__ = inspect.Signature([inspect.Parameter(key, kind) for key in arguments])
    return named
