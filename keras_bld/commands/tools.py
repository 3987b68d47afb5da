"""Tools that the commands around trained models share."""

import pathlib

from keras_bld.autoencoder import CodeAutoencoder
from keras_bld.base import checks
from keras_bld.data.code_store import shard_name, shard_starts
from keras_bld.presets.fields import OWN_FIELDS
from keras_bld.zoo import load_preset, save_preset


def images_written(store, earlier_files):
    """How many images of a `CodeStore` are in other shards than those `earlier_files` names."""
    num_shards = store.header["num_shards"]
    starts = [*shard_starts(len(store), num_shards), len(store)]
    return sum(
        starts[shard + 1] - starts[shard]
        for shard in range(num_shards)
        if shard_name(shard, num_shards) not in earlier_files
    )


def load_autoencoder(preset):
    """The autoencoder of a preset, or inside of one."""
    return autoencoder_of(load_preset(preset), preset)


def autoencoder_of(model, preset):
    """The autoencoder that a preset's model is, or has."""
    autoencoder = getattr(model, "autoencoder", model)
    if not isinstance(autoencoder, CodeAutoencoder):
        raise checks.error(
            "preset",
            f"{preset!r}, a {type(model).__name__} without an autoencoder",
            "an autoencoder, or a BinaryLatentDiffusion with one",
            "pass the preset of stage 1, such as runs/NAME/autoencoder/preset",
        )
    checks.check_binary_codes(autoencoder, "preset")
    return autoencoder


def load_image_model(preset):
    """The `BinaryLatentDiffusion` of a preset, with its autoencoder."""
    model = load_preset(preset, expected_class="BinaryLatentDiffusion")
    checks.check_makes_images(model, preset)
    return model


def training_folder(work_dir, out):
    """Where a command keeps checkpoints: its option, or runs/NAME, NAME that of what it makes."""
    return pathlib.Path(work_dir) if work_dir else pathlib.Path("runs") / pathlib.Path(out).name


def save_again(model, directory, metadata, **added):
    """Write the model of a preset, changed, as another one that says all that the first did.

    Args:
        model: the model.
        directory: of the new preset.
        metadata: of the first.
        **added: more of the metadata.

    Returns:
        The directory as a `pathlib.Path`.
    """
    kept = {name: value for name, value in metadata.items() if name not in OWN_FIELDS}
    dtype = "float16" if metadata["weights_dtype"] == "float16" else None
    return save_preset(model, directory, {**kept, **added}, dtype=dtype)
