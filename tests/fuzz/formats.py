"""Every format that the library reads: how a good file is made, damaged and read."""

import functools
from dataclasses import dataclass

from fuzz import arrays_and_texts, checkpoints, code_stores, preset_files, training_files


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        make: callable (folder) that writes good files.
        damage: callable (folder, `random.Random`) that damages one of them.
        read: callable (folder) that reads them as a user does.
        share: how many of the cases are of this format, relative to others.
    """

    make: callable
    damage: callable
    read: callable
    share: int


FORMATS = {
    "preset of a diffusion": Format(
        functools.partial(preset_files.make_preset, preset_files.tiny_diffusion),
        preset_files.damage_preset,
        preset_files.read_preset,
        25,
    ),
    "preset of an autoencoder": Format(
        functools.partial(preset_files.make_preset, preset_files.tiny_autoencoder),
        preset_files.damage_preset,
        preset_files.read_preset,
        10,
    ),
    "list of presets": Format(
        functools.partial(preset_files.make_preset, preset_files.tiny_diffusion),
        preset_files.damage_listed,
        preset_files.read_listing,
        8,
    ),
    "code store": Format(
        code_stores.write_codes, code_stores.damage_store, code_stores.read_store, 12
    ),
    "code store begun": Format(
        code_stores.make_begun_store, code_stores.damage_store, code_stores.write_codes, 6
    ),
    "torch": Format(checkpoints.make_torch, checkpoints.damage_torch, checkpoints.read_torch, 14),
    "safetensors": Format(
        checkpoints.make_safetensors,
        checkpoints.damage_safetensors,
        checkpoints.read_safetensors,
        8,
    ),
    "published tensors": Format(
        checkpoints.make_published, checkpoints.damage_published, checkpoints.read_published, 5
    ),
    "statistics": Format(
        arrays_and_texts.make_statistics,
        arrays_and_texts.damage_statistics,
        arrays_and_texts.read_statistics,
        8,
    ),
    "idx": Format(
        arrays_and_texts.make_idx, arrays_and_texts.damage_idx, arrays_and_texts.read_idx, 6
    ),
    "unreadable list": Format(
        arrays_and_texts.make_photos,
        functools.partial(arrays_and_texts.damage_text, "work/unreadable_images.txt"),
        arrays_and_texts.read_unreadable_list,
        4,
    ),
    "captions": Format(
        arrays_and_texts.make_photos,
        functools.partial(arrays_and_texts.damage_text, "captions.csv"),
        arrays_and_texts.read_captions,
        4,
    ),
    "state files": Format(
        arrays_and_texts.make_states,
        arrays_and_texts.damage_states,
        arrays_and_texts.read_states,
        6,
    ),
    "run": Format(training_files.make_run, training_files.damage_run, training_files.read_run, 8),
    "classifier": Format(
        training_files.make_classifier,
        training_files.damage_classifier,
        training_files.read_classifier,
        8,
    ),
}
