"""Presets: the catalogue of architectures, and the store that saves, verifies and loads."""

from keras_bld.zoo.architectures import (
    autoencoder_arguments,
    build,
    denoiser_arguments,
    find_architecture,
)
from keras_bld.zoo.catalogue import CATALOGUE, Preset
from keras_bld.zoo.listing import presets
from keras_bld.zoo.store import load_preset, read_metadata, save_preset

__all__ = [
    "CATALOGUE",
    "Preset",
    "autoencoder_arguments",
    "build",
    "denoiser_arguments",
    "find_architecture",
    "load_preset",
    "presets",
    "read_metadata",
    "save_preset",
]
