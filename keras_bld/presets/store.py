"""Presets on disk: a directory of config.json, model.weights.h5 and metadata.json."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_bld.base import checks
from keras_bld.base.files import replace_directory, user_path
from keras_bld.base.json_files import check_fields
from keras_bld.base.version import __version__
from keras_bld.presets.budget import build_at_most
from keras_bld.presets.fields import (
    CONFIG,
    DESCRIPTION,
    FILES,
    FORMAT,
    FREE_FIELDS,
    METADATA,
    OWN_FIELDS,
    WEIGHTS,
)
from keras_bld.presets.locate import find_preset
from keras_bld.presets.reading import (
    check_files,
    damaged,
    fingerprint_of,
    read_config,
    read_metadata,
)
from keras_bld.presets.safe_config import check_safe, class_of, import_trusted
from keras_bld.presets.sharing import all_weights, digest_to_share, take_out_shared
from keras_bld.presets.training_parts import without_training_parts
from keras_bld.presets.weights_file import inspect_weights, read_weights, write_weights


def save_preset(
    model: Any,
    directory: str | os.PathLike,
    metadata: dict | None = None,
    dtype: str | None = None,
    training_parts: bool = True,
    trusted_modules: Sequence[str] = (),
    shares_autoencoder_with: str | None = None,
) -> pathlib.Path:
    """Write a model as a preset: its config and its weights, and what they are.

    No optimizer, no compile settings, no pickles, no code. The directory appears when it is
    complete; an older preset there is replaced (other files in it stay).

    Args:
        model: a `BinaryAutoencoder`, a `BinaryLatentDiffusion`, or another built model that is
            registered under "keras_bld".
        directory: path of the preset.
        metadata: optional dictionary that JSON can hold. `licence`, `data`, `metric` and
            `command` are shown by `keras-bld presets`; other keys are free.
        dtype: None, or "float16" to store weights in half the space. They load as float32.
        training_parts: False leaves out what only training needs: an autoencoder's critic and
            perceptual network.
        trusted_modules: names of modules with classes of your own that are parts of the model,
            registered with `keras.saving.register_keras_serializable`. Only programs that have
            these modules, and name them in turn, can load the preset.
        shares_autoencoder_with: None, or the name of a preset in the same folder whose autoencoder
            has the same weights as the model's: they stay there alone. The two must be kept
            together; a change of the other's autoencoder is refused by `load_preset`.

    Returns:
        The directory as a `pathlib.Path`.

    Raises:
        ValueError: `directory` holds other files than a preset; metadata that JSON cannot hold or
            that names a key of the store; a weight that is not finite, or too large for float16;
            a part of the model of a class that `load_preset` would refuse; no such preset to
            share with, or one with another autoencoder.
        TypeError: `model` is not such a model.

    Example:

    >>> import tempfile, keras_bld
    >>> model = keras_bld.BinaryAutoencoder(
    ...     (8, 8, 1), 4, base_width=8, width_multipliers=(1, 2), num_blocks=1,
    ...     embedding_width=8, num_groups=4)
    >>> path = save_preset(model, tempfile.mkdtemp(), {"licence": "CC0-1.0"})
    >>> sorted(file.name for file in path.iterdir())
    ['config.json', 'metadata.json', 'model.weights.h5']
    >>> type(load_preset(path)).__name__
    'BinaryAutoencoder'
    """
    metadata = _check_metadata(metadata)
    if not isinstance(model, keras.Model) or not model.built:
        raise checks.error(
            "model",
            f"{type(model).__name__}",
            "a built BinaryAutoencoder or BinaryLatentDiffusion",
            "pass the model itself",
            kind=TypeError,
        )
    if not training_parts:
        model = without_training_parts(model)
    config = {
        "keras_bld_version": __version__,
        "keras_version": keras.__version__,
        "model": without_compile_config(keras.saving.serialize_keras_object(model)),
    }
    check_safe(config["model"], "model", import_trusted(trusted_modules))
    denoiser = getattr(model, "denoiser", None)
    digest = None
    if shares_autoencoder_with is not None:
        digest = digest_to_share(user_path(directory), shares_autoencoder_with)
    with replace_directory(directory, METADATA, FILES) as folder:
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        write_weights(model, folder / WEIGHTS, dtype)
        shared = {}
        if digest is not None:
            shared = take_out_shared(folder / WEIGHTS, shares_autoencoder_with, digest)
        record = {
            "format": FORMAT,
            "class_name": type(model).__name__,
            **dict.fromkeys(DESCRIPTION),
            **metadata,
            "num_weights": model.count_params(),
            "num_denoiser_weights": denoiser.count_params() if denoiser else 0,
            "weights_dtype": dtype or "as in the model",
            "versions": {
                "keras_bld": __version__,
                "keras": keras.__version__,
                "backend": keras.config.backend(),
            },
            "files": {
                **{name: fingerprint_of(folder / name) for name in (CONFIG, WEIGHTS)},
                **shared,
            },
        }
        (folder / METADATA).write_text(json.dumps(record, indent=2) + "\n")
    return user_path(directory).resolve()


def load_preset(
    preset: str | os.PathLike,
    dtype: str | None = None,
    expected_class: type | str | None = None,
    trusted_modules: Sequence[str] = (),
) -> Any:
    """Build the model of a preset and load its weights.

    Args:
        preset: a directory of `save_preset`, or the name of a preset whose weights are at hand
            (see `presets`). Such a name goes before a directory of the same name.
        dtype: optional dtype policy of the networks, e.g. "mixed_bfloat16"; None takes the saved.
        expected_class: optional class (or its name) that the preset must hold.
        trusted_modules: names of modules (or packages, with all inside) whose classes the preset
            may hold beside those of Keras and this library. They are imported, and their code
            runs: name what you wrote or trust. A preset alone never has a module imported.

    Returns:
        The model, not compiled.

    Raises:
        ValueError: unknown name, missing file (also a FileNotFoundError), a truncated or altered
            file, a config that names a class which is neither Keras's nor this library's, config
            and weights that do not fit together, weights that are not finite, a preset of another
            class, or one that shares the autoencoder of a preset that is not beside it, or has
            another one by now. A model is not built where the weights file could not fill it.
    """
    directory = find_preset(preset, METADATA)
    metadata = read_metadata(directory)
    check_files(directory, metadata)
    config = read_config(directory)
    trusted_modules = import_trusted(trusted_modules)
    check_safe(config, trusted_modules=trusted_modules)
    if expected_class is not None:
        _check_class(directory, config, expected_class)
    if dtype is not None:
        _set_dtype(config, keras.dtype_policies.get(dtype).name, trusted_modules)
    with all_weights(directory, metadata) as weights:
        model = _build(directory, config, weights)
        read_weights(model, weights, directory / WEIGHTS)
    if hasattr(model, "use_metadata"):
        path = directory / METADATA
        with checks.as_error(lambda reason: damaged(path, f"what no model takes ({reason})")):
            model.use_metadata(metadata)
    return model


def _build(directory, config, weights):
    """The model of a config, no larger than the file of its weights."""
    contents = inspect_weights(weights)
    path = directory / CONFIG
    with checks.as_error(lambda reason: damaged(path, f"a config that no model takes ({reason})")):
        with build_at_most(contents.num_values, contents.num_weights):
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        if not isinstance(model, keras.Model) or not model.built:
            raise TypeError(f"it makes a {type(model).__name__}")
    return model


def _check_metadata(metadata):
    metadata = {} if metadata is None else metadata
    try:
        metadata = json.loads(json.dumps(dict(metadata), allow_nan=False))
    except (TypeError, ValueError) as reason:
        raise checks.error(
            "metadata",
            f"a value that JSON cannot hold ({reason})",
            "a dictionary of strings, finite numbers, lists and dictionaries",
            "convert arrays with `.tolist()` and paths with `str`",
        ) from reason
    wrong = check_fields(metadata, {}, FREE_FIELDS)
    if wrong is not None:
        raise checks.error("metadata", wrong, "a description", "pass such a value, or leave it out")
    taken = sorted(set(metadata) & set(OWN_FIELDS))
    if taken:
        raise checks.error(
            "metadata",
            f"the keys {taken}",
            f"keys other than {', '.join(OWN_FIELDS)}",
            "the store fills these in; name yours differently",
        )
    return metadata


def _check_class(directory, config, expected_class):
    expected = getattr(expected_class, "__name__", expected_class)
    if config["class_name"] != expected:
        raise checks.error(
            "preset",
            f"{directory.name}, a preset of a {config['class_name']}",
            f"a preset of a {expected}",
            f"call {config['class_name']}.from_preset, or load_preset for any of them",
        )


def without_compile_config(config):
    """A serialised object without the compile settings of it and its parts."""
    if isinstance(config, dict):
        return {
            key: without_compile_config(value)
            for key, value in config.items()
            if key != "compile_config"
        }
    return [without_compile_config(item) for item in config] if isinstance(config, list) else config


def _set_dtype(config, name, trusted_modules):
    """Put a dtype policy into every model of a serialised object."""
    if isinstance(config, list):
        for item in config:
            _set_dtype(item, name, trusted_modules)
    elif isinstance(config, dict):
        found = class_of(config, trusted_modules) if "class_name" in config else None
        is_model = found is not None and issubclass(found, keras.Model)
        if is_model and isinstance(config.get("config"), dict):
            config["config"]["dtype"] = name
        for value in config.values():
            _set_dtype(value, name, trusted_modules)
