"""`keras-bld publish`."""

import pathlib
import re
import shlex

from keras_bld.base import checks
from keras_bld.base.files import user_path
from keras_bld.base.runs import short_errors
from keras_bld.commands.sampler_options import SamplerArguments, SamplerOptions
from keras_bld.presets.fields import NAME

# What later trainings of a part leave there.
_LATER = ("finetuned_decoder", "small_decoder", "distilled")
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
    *_LATER,
)

# Of the settings: where things lay, what was done, and how it samples, which the model knows.
_LEFT_OUT = (
    "work_dir", "data_dir", "stage", "dry_run",
    "sampling", "sampling_steps", "temperature", "guidance_scale",
)  # fmt: skip

# Options of recipes whose values are always folders.
_FOLDERS = ("--data-dir", "--work-dir")


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
    shares_autoencoder_with: str | None = None,
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
        metric: the line that `keras-bld presets` shows.
        shares_autoencoder_with: name of a preset in the same folder. The autoencoder stays in its
            files alone, half the size or less here. Its encoder must be that of this preset; where
            its decoder was trained on, this preset has that decoder from now on.
        sampler: the fields of `Sampling` that the published model samples with.
    """
    with short_errors():
        if not NAME.fullmatch(name):
            raise checks.error(
                "name",
                repr(name),
                "letters, digits, _, - and . alone",
                "the directory is given by --folder",
            )
        from keras_bld.presets.sharing import digest_to_share
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
        metadata["trained_with"] = trained.get("trained_with") or trained["versions"]
        given = {"licence": licence, "data": data, "metric": metric}
        metadata |= {key: value for key, value in given.items() if value is not None}
        directory = (user_path(folder, "folder") if folder else SHIPPED) / name
        if shares_autoencoder_with is not None:
            digest_to_share(directory, shares_autoencoder_with)
            model = _around(model, directory.with_name(shares_autoencoder_with))
        path = save_preset(
            model,
            directory,
            metadata,
            dtype="float16",
            training_parts=False,
            shares_autoencoder_with=shares_autoencoder_with,
        )
    size = sum(file.stat().st_size for file in path.iterdir())
    shared = f", and the autoencoder of {shares_autoencoder_with}"
    print(f"{path}: {size / 2**20:.2f} MiB{shared if shares_autoencoder_with else ''}")


def without_places(metadata):
    """Metadata without the paths of the machine that trained, those of its origins too.

    Args:
        metadata: of a preset.
    """
    kept = {key: value for key, value in metadata.items() if not _is_place(value)}
    for key in ("trained_on", "settings", *_LATER):
        if isinstance(kept.get(key), dict):
            kept[key] = {
                name: value
                for name, value in kept[key].items()
                if not (name == "place" or _is_place(value) or _is_elsewhere(name, value))
            }
    if kept.get("command"):
        kept["command"] = _command_without_places(kept["command"])
    if _is_elsewhere("preset", kept.get("preset")):
        del kept["preset"]
    if kept.get("origins"):
        kept["origins"] = {key: without_places(of) for key, of in kept["origins"].items()}
    return kept


def _command_without_places(command):
    try:
        words = shlex.split(command)
    except ValueError:  # not as a shell takes it
        words = command.split()
    option = None
    for number, word in enumerate(words):
        value, is_flag = word, word.startswith("--")
        if is_flag:
            option, has_value, value = word.partition("=")
            if not has_value:
                continue  # its values follow
        if option is None and _is_place(value):
            words[number] = pathlib.PurePath(value).name  # the program
        elif option in _FOLDERS or _is_place(value) or _is_elsewhere(option, value):
            words[number] = f"{option}=FOLDER" if is_flag else "FOLDER"
    return shlex.join(words)


def _is_place(value):
    """Whether a value is a path from the root, the home or the folder of somebody's machine."""
    if not isinstance(value, str) or "\n" in value:
        return False
    return (
        value.startswith(("/", "~", "./", "../", ".\\", "..\\"))
        or pathlib.PureWindowsPath(value).is_absolute()
    )


def _is_elsewhere(name, value):
    """Whether a field or an option names a preset by a path."""
    if not isinstance(value, str) or name is None or not name.endswith("preset"):
        return False
    return not re.fullmatch(r"[\w.-]+", value)


def _at(record, data_name):
    """The record of a data set in the place where others have it."""
    from keras_bld.data import DataSet, find_data_set

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


def _around(model, sibling):
    """A diffusion with the autoencoder of the preset that it will share, which makes its codes."""
    from keras_bld.autoencoder import CodeAutoencoder
    from keras_bld.commands.tools import autoencoder_of
    from keras_bld.presets.fingerprint import encoder_fingerprint
    from keras_bld.presets.training_parts import with_parts
    from keras_bld.zoo import load_preset

    if not isinstance(getattr(model, "autoencoder", None), CodeAutoencoder):
        raise checks.error(
            "shares_autoencoder_with",
            f"{sibling.name!r} for a {type(model).__name__} without an autoencoder beside it",
            "a BinaryLatentDiffusion with an autoencoder",
            "leave it out",
        )
    theirs = autoencoder_of(load_preset(sibling, dtype="float32"), sibling.name)
    # To the precision in which presets are published.
    if len({encoder_fingerprint(each, "float16") for each in (model.autoencoder, theirs)}) > 1:
        raise checks.error(
            "shares_autoencoder_with",
            f"{sibling.name!r}, whose encoder makes other codes",
            "a preset with the encoder that this one was trained with",
            "leave it out: the preset then has its own autoencoder",
        )
    return with_parts(model, autoencoder=theirs)


def _refuse(options, class_name):
    """Raise ValueError where a sampler's option is given for a model that has no sampler."""
    for option, value in options.items():
        raise checks.error(
            option,
            f"{value} for a {class_name}",
            "the option for a BinaryLatentDiffusion alone",
            "leave it out: a stage 1 by itself samples nothing",
        )
