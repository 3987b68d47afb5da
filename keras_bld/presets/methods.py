"""Methods of models around presets, as a mixin."""

import os
import pathlib
from collections.abc import Sequence
from typing import Self

from keras_bld.presets.store import load_preset, save_preset


class PresetMethods:
    """Mixin of Keras models: `save_to_preset` and `from_preset`."""

    def save_to_preset(
        self,
        directory: str | os.PathLike,
        metadata: dict | None = None,
        dtype: str | None = None,
        training_parts: bool = True,
        trusted_modules: Sequence[str] = (),
        shares_autoencoder_with: str | None = None,
    ) -> pathlib.Path:
        """Write config and weights as a preset; see `keras_bld.presets.save_preset`."""
        return save_preset(
            self,
            directory,
            metadata,
            dtype,
            training_parts,
            trusted_modules,
            shares_autoencoder_with,
        )

    @classmethod
    def from_preset(
        cls,
        preset: str | os.PathLike,
        dtype: str | None = None,
        trusted_modules: Sequence[str] = (),
    ) -> Self:
        """Load a preset by name or directory; see `keras_bld.presets.load_preset`.

        Raises:
            ValueError: also for a preset of another class.
        """
        return load_preset(preset, dtype, cls, trusted_modules)
