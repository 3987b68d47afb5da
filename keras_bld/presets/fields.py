"""What stands in the JSON files of a preset: every field and its kind."""

import re

from keras_bld.base.json_files import (
    RECORD,
    TEXT,
    Kind,
    check_fields,
    exactly,
    list_of,
    none_or,
    number,
    whole,
)

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
FILES = (CONFIG, WEIGHTS, METADATA)
FORMAT = 1
# Of a preset in a folder of presets: no path.
NAME = re.compile(r"\w[\w.-]*")
# What a preset may have from another one in its folder: a group of that one's weights.
SHARED_PART = "autoencoder"
SHARED = {"part": exactly(SHARED_PART), "sha256": TEXT}
# What a reader of a preset wants to know; None where `metadata` does not say.
DESCRIPTION = ("licence", "data", "metric", "command")
_TEXTS = list_of(list_of(TEXT))
_WORDINGS = {"class_names": list_of(TEXT), "texts": _TEXTS, "unseen": none_or(_TEXTS)}
_TEMPLATES = {
    "class_names": list_of(TEXT),
    "templates": list_of(TEXT),
    "unseen_templates": none_or(list_of(TEXT)),
    "fields": Kind(
        "a list of texts for each field",
        lambda fields: isinstance(fields, dict) and all(map(list_of(TEXT).holds, fields.values())),
    ),
}
_DIGEST = {"sha256": TEXT, "bytes": whole()}


def _are_wordings(record):
    if "templates" in record:
        return check_fields(record, _TEMPLATES) is None and bool(record["templates"])
    return check_fields(record, _WORDINGS) is None and all(record["texts"])


# What the store itself writes to metadata.json, and what others do where they do; the rest is free.
OWN_FIELDS = {
    "format": exactly(FORMAT),
    "class_name": TEXT,
    "num_weights": whole(),
    "num_denoiser_weights": whole(),
    "weights_dtype": TEXT,
    "versions": RECORD,
    "files": Kind(
        f"the sha256 and size of {CONFIG} and {WEIGHTS}",
        lambda files: (
            isinstance(files, dict)
            and all(
                isinstance(files.get(name), dict) and check_fields(files[name], _DIGEST) is None
                for name in (CONFIG, WEIGHTS)
            )
        ),
    ),
}
FREE_FIELDS = {
    **dict.fromkeys((*DESCRIPTION, "recipe", "data_name", "text_encoder"), none_or(TEXT)),
    **dict.fromkeys(("settings", "trained_on", "origins", "trained_with"), none_or(RECORD)),
    "wordings": none_or(
        Kind(
            "texts for each class, or templates",
            lambda wordings: isinstance(wordings, dict) and _are_wordings(wordings),
        )
    ),
    "class_names": none_or(list_of(TEXT)),
    "training_steps": none_or(whole()),
    "guidance_scale": none_or(number(0)),
}
# A model as `keras.saving.serialize_keras_object` writes it.
SERIALISED = Kind(
    "a serialised model",
    lambda model: (
        isinstance(model, dict)
        and isinstance(model.get("class_name"), str)
        and isinstance(model.get("config"), dict)
    ),
)
