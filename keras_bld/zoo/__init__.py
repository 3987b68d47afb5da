"""The zoo: the catalogue of architectures, their builder, and the weights that come along."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names
from keras_bld.presets.locate import add_architectures, add_folder
from keras_bld.zoo.catalogue import CATALOGUE, Preset
from keras_bld.zoo.shipped import SHIPPED

if TYPE_CHECKING:
    from keras_bld.presets import load_preset, read_metadata, save_preset
    from keras_bld.zoo.architectures import (
        autoencoder_arguments,
        build,
        denoiser_arguments,
        find_architecture,
    )
    from keras_bld.zoo.listing import list_presets

__all__ = [
    "CATALOGUE",
    "Preset",
    "autoencoder_arguments",
    "build",
    "denoiser_arguments",
    "find_architecture",
    "list_presets",
    "load_preset",
    "read_metadata",
    "save_preset",
]

__getattr__, __dir__ = lazy_names(__name__)

# Where `load_preset` looks for names, and which names have no weights.
add_folder(SHIPPED)
add_architectures(row.name for row in CATALOGUE)
