"""`python -m keras_bld publish`."""

import pathlib
import re
import shlex

from keras_bld.base import checks
from keras_bld.base.runs import short_errors
from keras_bld.commands.sampler_options import SamplerArguments, SamplerOptions
from keras_bld.data import DataSet, find_data_set

# What training leaves in metadata and a reader of the published preset can check.
_KEPT = (
    "recipe",
    "trained_on",
    "class_names",
    "captions",
    "training_steps",
    "settings",
    "command",
    "licence",
    "data",
    "text_encoder",
    "wordings",
    "origins",
)

# Of the settings: where things lay, what was done, and how it samples, which the model knows.
_LEFT_OUT = (
    "work_dir", "data_dir", "stage", "dry_run",
    "sampling", "sampling_steps", "temperature", "guidance_scale",
)  # fmt: skip


def publish_command(
    preset: str,
    /,
    *,
    name: str,
    folder: str | None = None,
    licence: str | None = None,
    data: str | None = None,
    data_name: str | None = None,
    metric: str | None = None,
    sampler: SamplerArguments = SamplerOptions(),  # noqa: B008 (frozen)
):
    """Copy a trained preset to where it loads by its name: half the size, nothing for training.

    Weights are stored in float16; the critic and the perceptual network stay behind. Next to the
    weights' checksums, metadata.json keeps how the preset was trained. Networks that were trained
    in bfloat16 load in float32, which every processor computes fast; from_preset(name, dtype=...)
    takes another precision.

    Args:
        preset: directory that a recipe wrote, such as runs/digits/preset.
        name: what to call it.
        folder: directory of presets; by default that of the package, keras_bld/zoo/weights. Any
            other is found by its name where the environment variable KERAS_BLD_PRESETS lists it.
        licence: of the weights.
        data: what it was trained on, with credits and licence of the data.
        data_name: where others have the data set, such as tfds:fashion_mnist; `evaluate` opens it
            where no data is given. The folder of the training is not kept.
        metric: the line that `python -m keras_bld presets` shows.
        sampler: the fields of `Sampling` that the published model samples with.
    """
    with short_errors():
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise checks.error(
                "name",
                repr(name),
                "letters, digits, _, - and . alone",
                "the directory is given by --folder",
            )
        from keras_bld.zoo import load_preset, read_metadata, save_preset
        from keras_bld.zoo.shipped import SHIPPED

        trained = read_metadata(preset)
        metadata = {key: trained[key] for key in _KEPT if trained.get(key) is not None}
        if data_name is not None:
            metadata["trained_on"] = _at(metadata.get("trained_on"), data_name)
        # Where it was trained is nobody's business, nor would that folder be on another machine.
        metadata = without_places(metadata)
        metadata["settings"] = {
            key: value
            for key, value in metadata.get("settings", {}).items()
            if key not in _LEFT_OUT
        }
        model = load_preset(preset, dtype="float32")
        if hasattr(model, "sampling"):
            model.sampling = model.sampling.replace(**sampler.given())
        else:
            _refuse(sampler.given(), trained["class_name"])
        metadata["trained_with"] = trained["versions"]
        given = {"licence": licence, "data": data, "metric": metric}
        metadata |= {key: value for key, value in given.items() if value is not None}
        path = save_preset(
            model,
            (pathlib.Path(folder).expanduser() if folder else SHIPPED) / name,
            metadata,
            dtype="float16",
            training_parts=False,
        )
    size = sum(file.stat().st_size for file in path.iterdir())
    print(f"{path}: {size / 2**20:.2f} MiB")


def without_places(metadata):
    """Metadata without the folders of the machine that trained, those of its origins too.

    Args:
        metadata: of a preset.
    """
    kept = dict(metadata)
    if "trained_on" in kept:
        kept["trained_on"] = {key: of for key, of in kept["trained_on"].items() if key != "place"}
    if kept.get("command"):
        words = shlex.split(kept["command"])
        for flag, word in enumerate(words[:-1]):
            if word == "--data-dir":
                words[flag + 1] = "FOLDER"
        kept["command"] = shlex.join(words)
    if "origins" in kept:
        kept["origins"] = {key: without_places(of) for key, of in kept["origins"].items()}
    return kept


def _at(record, data_name):
    """The record of a data set in the place where others have it."""
    if record is None:
        return find_data_set(data_name).as_dictionary()
    trained = DataSet.from_record(record)
    moved = trained.moved(data_name)
    if not trained.is_same(moved):
        raise checks.error(
            "data_name",
            f"{data_name!r} for a model that was trained on {trained.name!r}",
            "another name of the data that was trained on",
            "leave it out: its splits need not be those of the training",
        )
    counts = {key: record[key] for key in ("num_images",) if key in record}
    return {**moved.as_dictionary(), **counts}


def _refuse(options, class_name):
    """Raise ValueError where a sampler's option is given for a model that has no sampler."""
    for option, value in options.items():
        raise checks.error(
            option,
            f"{value} for a {class_name}",
            "the option for a BinaryLatentDiffusion alone",
            "leave it out: a stage 1 by itself samples nothing",
        )
