"""Presets: a model as a directory that is saved, verified, located and loaded."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.presets.fingerprint import autoencoder_fingerprint, generator_fingerprint
    from keras_bld.presets.locate import find_preset, named_presets
    from keras_bld.presets.methods import PresetMethods
    from keras_bld.presets.reading import read_metadata
    from keras_bld.presets.store import load_preset, save_preset
    from keras_bld.presets.training_parts import without_training_parts

__all__ = [
    "PresetMethods",
    "autoencoder_fingerprint",
    "find_preset",
    "generator_fingerprint",
    "load_preset",
    "named_presets",
    "read_metadata",
    "save_preset",
    "without_training_parts",
]

__getattr__, __dir__ = lazy_names(__name__)
