"""The work directory of a recipe: whose it is, and what is finished in it."""

import dataclasses
import json

from keras_bld.base import checks
from keras_bld.base.files import write_json
from keras_bld.base.json_files import read_json
from keras_bld.base.runs import claim_folder, option, say
from keras_bld.data.code_store import read_header
from keras_bld.training.recipe import SETTINGS_FILE, STAGES, TRAINED
from keras_bld.zoo import read_metadata

_MADE_FROM_PRESET = tuple(stage for stage in STAGES if stage not in TRAINED)


def claim(recipe):
    """Write recipe.json, or refuse a folder of a run with other settings."""
    free = recipe.free_fields
    if not (recipe.folder / "diffusion").exists():
        free += recipe.diffusion_fields
    settings = {"name": recipe.name, **dataclasses.asdict(recipe)}
    defaults = {field.name: field.default for field in dataclasses.fields(recipe)}
    claim_folder(recipe.folder / SETTINGS_FILE, settings, free, defaults)


def has_results(recipe, stage):
    """Whether the pictures or scores of a stage are those of the preset and of the settings."""
    record = _record(recipe, stage)
    if stage not in _MADE_FROM_PRESET or not record.is_file():
        return False
    words = ("work_dir", "the record of a stage", "delete it; the stage runs again")
    return read_json(record, *words) == _results_key(recipe)


def record_results(recipe, stage):
    """Remember what the results of a stage were made from, for `has_results`."""
    if stage in _MADE_FROM_PRESET:
        write_json(_record(recipe, stage), _results_key(recipe))


def is_finished(preset, num_steps):
    """Whether the preset is there and was trained for at least `num_steps`."""
    path = preset / "metadata.json"
    if not path.is_file():
        return False
    trained = own(preset, read_metadata).get("training_steps") or 0
    if trained >= num_steps:
        say(f"{preset} is finished ({trained} steps); nothing to train")
    return trained >= num_steps


def codes_are_written(folder, fingerprint):
    """Whether there is a finished code store of the autoencoder with this fingerprint."""
    try:
        header = read_header(folder)
    except (OSError, ValueError):  # not there yet, or being written
        return False
    return header["complete"] and header["autoencoder_fingerprint"] == fingerprint


def own(preset, read):
    """What `read` makes of a preset of this run; the advice of its errors is for this run."""
    try:
        return read(preset)
    except ValueError as error:
        raise checks.error(
            "work_dir",
            f"{preset}, which is damaged: {getattr(error, 'received', error)}",
            "the preset as this run wrote it",
            f"delete the folder {preset} and run the recipe again: it is made from the "
            "checkpoint beside it, without training",
        ) from error


def need(path, stage):
    """Raise FileNotFoundError where the preset of a stage is missing."""
    if not (path / "metadata.json").is_file():
        first = option("stage", stage)
        raise FileNotFoundError(
            f"`{path}` is not there. Fix: run the recipe with {first} (or all) first."
        )


def _record(recipe, stage):
    return recipe.folder / f".{stage}.json"


def _results_key(recipe):
    """What samples and scores depend on: the trained preset and the free settings."""
    everything = json.loads(json.dumps(dataclasses.asdict(recipe)))
    settings = {name: everything[name] for name in recipe.result_fields}
    files = own(recipe.folder / "preset", read_metadata)["files"]
    return {"preset": files, "settings": settings}
