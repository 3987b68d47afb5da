"""A classifier in a `.keras` file, read as a file that may be damaged, or lie."""

import io
import pathlib

import keras

from keras_bld.base import checks
from keras_bld.base.fitting.finite import first_not_finite
from keras_bld.base.json_files import parse_json
from keras_bld.base.zip_files import open_archive
from keras_bld.presets.budget import build_at_most
from keras_bld.presets.fields import CONFIG, METADATA, SERIALISED, WEIGHTS
from keras_bld.presets.safe_config import check_safe
from keras_bld.presets.store import without_compile_config
from keras_bld.presets.weights_file import inspect_weights

_LAYERS = ("features", "logits")


def load_classifier(path, fix):
    """Return the classifier that `classifier.save(path)` wrote, not compiled.

    Args:
        path: of the `.keras` file.
        fix: what to do where the file is damaged, for the message.

    Raises:
        ValueError: a file that is damaged or compressed, a config that names other classes than
            Keras's or this library's or makes more weights than the file holds, weights that are
            not finite, or a model without the layers "features" and "logits".
    """

    def damaged(reason):
        return checks.error("network", f"`{path}`: {reason}", "a whole .keras classifier", fix)

    path = pathlib.Path(path)
    with checks.as_error(damaged):
        config, contents = _inspect(path)
        with build_at_most(contents.num_values, contents.num_weights):
            classifier = keras.saving.load_model(path, compile=False, safe_mode=True)
    names = {layer.name for layer in getattr(classifier, "layers", ())}
    if not names.issuperset(_LAYERS):
        raise damaged(f"a {config['class_name']} without the layers {' and '.join(_LAYERS)}")
    weight = first_not_finite(classifier.weights)
    if weight is not None:
        raise damaged(f"NaN or infinity in the weight `{weight}`")
    return classifier


def _inspect(path):
    """(the config, `Contents` of the weights) of a file; raises many kinds where it is damaged."""
    with open(path, "rb") as file, open_archive(file) as archive:
        names = archive.namelist()
        if sorted(names) != sorted((CONFIG, METADATA, WEIGHTS)):
            raise ValueError(f"the members {checks.short(names)}")
        config = parse_json(archive.read(CONFIG))
        weights = io.BytesIO(archive.read(WEIGHTS))
    if not SERIALISED.holds(config):
        raise ValueError(f"a {CONFIG} that is not {SERIALISED.words}")
    check_safe(without_compile_config(config))
    return config, inspect_weights(weights, ValueError)
