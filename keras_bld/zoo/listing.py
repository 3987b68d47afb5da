"""All presets: the catalogue, and what is on this machine."""

from dataclasses import asdict, fields, replace

from keras_bld.base import checks
from keras_bld.base.json_files import TEXT, check_fields, none_or, whole
from keras_bld.presets.fields import CONFIG
from keras_bld.presets.locate import named_presets
from keras_bld.presets.reading import (
    check_files,
    damaged,
    read_config,
    read_metadata,
    sibling_of,
)
from keras_bld.zoo.catalogue import CATALOGUE, Preset

# Other models have no such sizes; they load, but stand in no row.
_CLASSES = ("BinaryAutoencoder", "BinaryLatentDiffusion")
# What the files must say of a row.
_ROW = {
    **dict.fromkeys(("resolution", "downsampling", "code_channels"), whole(1)),
    **dict.fromkeys(("decoder_num_blocks", "num_autoencoder_weights"), whole()),
    **dict.fromkeys(("depth", "width", "num_heads", "num_training_steps"), none_or(whole(1))),
    "condition": none_or(TEXT),
    "condition_size": none_or(whole(1)),
}


def list_presets() -> list[Preset]:
    """Return the rows of the catalogue and of the other presets with weights on this machine.

    Returns:
        List of `Preset`; `has_weights` says which of them `load_preset` can load by name.

    Example:

    >>> [row.name for row in list_presets() if row.resolution == 1024]
    ['bld_ffhq_1024', 'bld_celeba_hq_1024']
    """
    here = {name: _row_or_damage(name, path) for name, path in named_presets().items()}
    trained = {name: row for name, row in here.items() if row is not None}
    rows = []
    for row in CATALOGUE:
        found = trained.pop(row.name, None)
        if found is not None and found.damage:
            row = replace(row, damage=found.damage)
        elif found is not None:
            seen = ("licence", "metric", "shares_autoencoder_with")
            row = replace(row, has_weights=True, **{name: getattr(found, name) for name in seen})
        rows.append(row)
    return rows + list(trained.values())


def _row_or_damage(name, directory):
    """The row of a preset on disk; None for a model of another class."""
    try:
        metadata = read_metadata(directory)
        check_files(directory, metadata, contents=False)
        class_name = read_config(directory)["class_name"]
        if class_name != metadata["class_name"]:
            raise damaged(directory / CONFIG, f"a {class_name}, not a {metadata['class_name']}")
        if class_name not in _CLASSES:
            return None
        return row_of(name, directory)
    except (ValueError, OSError) as error:
        reason = getattr(error, "received", None) or checks.reason_of(error)
        row = dict.fromkeys(field.name for field in fields(Preset))
        row |= {"name": name, "damage": reason.replace(f"{directory}/", ""), "has_weights": False}
        return Preset(**row)


def row_of(name, directory):
    """The `Preset` row of a preset on disk.

    A model without an autoencoder counts cells as pixels: `resolution` is its grid's height and
    `downsampling` is 1.

    Raises:
        ValueError: damaged files.
    """
    metadata, config = read_metadata(directory), read_config(directory)["config"]
    path = directory / CONFIG
    with checks.as_error(lambda reason: damaged(path, f"a config that no model has ({reason})")):
        row = _row(name, metadata, config)
    wrong = check_fields(asdict(row), _ROW)
    if wrong is not None:
        raise damaged(path, wrong)
    return row


def _row(name, metadata, config):
    denoiser = config.get("denoiser", {}).get("config")
    autoencoder = config if denoiser is None else (config.get("autoencoder") or {}).get("config")
    if autoencoder is None:
        resolution, _, code_channels = denoiser["code_shape"]
        levels, decoder_num_blocks = 1, 0
    else:
        resolution = _items(autoencoder["image_shape"])[0]
        code_channels = (
            _items(denoiser["code_shape"])[-1] if denoiser else autoencoder["code_channels"]
        )
        levels = len(_items(autoencoder["width_multipliers"]))
        decoder_num_blocks = autoencoder["decoder_num_blocks"] or autoencoder["num_blocks"]
    num_weights = metadata["num_weights"]
    num_denoiser_weights = metadata["num_denoiser_weights"]
    return Preset(
        name=name,
        resolution=resolution,
        downsampling=2 ** (levels - 1),
        code_channels=code_channels,
        decoder_num_blocks=decoder_num_blocks,
        **_denoiser_columns(denoiser),
        guidance_scale=float(metadata.get("guidance_scale") or 0.0),
        num_denoiser_weights=num_denoiser_weights,
        num_autoencoder_weights=num_weights - num_denoiser_weights,
        metric=metadata.get("metric"),
        origin="keras_bld",
        licence=metadata.get("licence"),
        has_weights=True,
        shares_autoencoder_with=sibling_of(metadata),
    )


def _denoiser_columns(denoiser):
    if denoiser is None:
        names = ("depth", "width", "num_heads", "num_training_steps", "condition", "condition_size")
        return dict.fromkeys(names)
    condition = size = None
    if denoiser["num_classes"] is not None:
        condition, size = "class", denoiser["num_classes"]
    elif denoiser["text_width"] is not None:
        condition, size = denoiser["text_conditioning"], denoiser["text_width"]
    columns = {name: denoiser[name] for name in ("depth", "width", "num_heads")}
    # Presets of before called T `num_steps`.
    columns["num_training_steps"] = denoiser.get("num_training_steps", denoiser.get("num_steps"))
    return {**columns, "condition": condition, "condition_size": size}


def _items(value):
    """The items of a list, or of a tuple as Keras writes it to JSON."""
    return value["items"] if isinstance(value, dict) else value
