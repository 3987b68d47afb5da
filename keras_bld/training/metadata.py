"""What the presets of a recipe remember of their training."""

import dataclasses
import json

import keras

from keras_bld.data import CaptionedFolder
from keras_bld.training.made_data import MadeSource


def preset_metadata(recipe, train, held_out, wordings, num_steps, logs):
    """The metadata of a preset.

    Args:
        recipe: a `Recipe`.
        train, held_out: its opened sources.
        wordings: `Wordings` of a text-conditional model, or None.
        num_steps: training steps behind it.
        logs: of the last epoch.
    """
    settings = {k: v for k, v in dataclasses.asdict(recipe).items() if v is not None}
    texts = {}
    if wordings is not None:
        texts = {"text_encoder": recipe.text_encoder, "wordings": wordings.get_config()}
    return {
        **texts,
        **_data_metadata(recipe, train, held_out),
        "recipe": recipe.name,
        "data": recipe.data_credit,
        "command": recipe.command,
        "training_steps": num_steps,
        "last_logs": logs or {},
        "settings": json.loads(json.dumps(settings)),
        "backend": keras.backend.backend(),
    }


def _data_metadata(recipe, train, held_out):
    """What was trained on and held out, and the names of the classes that the model knows."""
    found = {}
    if not isinstance(train, MadeSource):
        found["trained_on"] = recipe.trained_on(train, held_out)
    if isinstance(train, CaptionedFolder):
        # What the wordings are numbered by.
        found["captions"] = list(train.class_names)
    if recipe.class_conditional:
        found["class_names"] = list(train.class_names)
    return {key: value for key, value in found.items() if value}
