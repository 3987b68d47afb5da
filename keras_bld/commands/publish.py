"""`python -m keras_bld publish`."""

import pathlib
import re

from keras_bld.base import checks
from keras_bld.commands.tools import sampler_settings, short_errors

# What training leaves in metadata and a reader of the published preset can check.
_KEPT = (
    "recipe",
    "data_name",
    "training_steps",
    "settings",
    "command",
    "licence",
    "data",
    "text_encoder",
    "wordings",
    "origins",
)


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
    num_steps: int | None = None,
    temperature: float | None = None,
    guidance_scale: float | None = None,
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
        data_name: what `evaluate` opens where no data is given, such as tfds:fashion_mnist; by
            default the name that the recipe gives. The folder that it read is not kept.
        metric: the line that `python -m keras_bld presets` shows.
        num_steps: denoising steps of `generate` and `evaluate`; by default the recipe's.
        temperature: of the same commands, likewise.
        guidance_scale: likewise.
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
        # Where it was trained is nobody's business, nor would that folder be on another machine.
        if metadata.get("data_name") == trained.get("settings", {}).get("data_dir"):
            metadata.pop("data_name", None)
        metadata["settings"] = {
            key: value
            for key, value in metadata.get("settings", {}).items()
            if key not in ("work_dir", "data_dir", "stage", "dry_run")
        }
        options = {
            "num_steps": num_steps,
            "temperature": temperature,
            "guidance_scale": guidance_scale,
        }
        if trained["class_name"] == "BinaryLatentDiffusion":
            sampler = sampler_settings(trained, **options)
            metadata["settings"] |= {"sampling_steps": sampler.pop("num_steps"), **sampler}
        else:
            _refuse(options, trained["class_name"])
        metadata["trained_with"] = trained["versions"]
        given = {"licence": licence, "data": data, "data_name": data_name, "metric": metric}
        metadata |= {key: value for key, value in given.items() if value is not None}
        path = save_preset(
            load_preset(preset, dtype="float32"),
            (pathlib.Path(folder).expanduser() if folder else SHIPPED) / name,
            metadata,
            dtype="float16",
            training_parts=False,
        )
    size = sum(file.stat().st_size for file in path.iterdir())
    print(f"{path}: {size / 2**20:.2f} MiB")


def _refuse(options, class_name):
    """Raise ValueError where a sampler's option is given for a model that has no sampler."""
    for option, value in options.items():
        if value is not None:
            raise checks.error(
                option,
                f"{value} for a {class_name}",
                "the option for a BinaryLatentDiffusion alone",
                "leave it out: a stage 1 by itself samples nothing",
            )
