"""Untrained models from rows of the catalogue."""

import difflib
from typing import Any

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.base import checks
from keras_bld.diffusion import (
    BernoulliDenoiser,
    BernoulliNoiseSchedule,
    BinaryLatentDiffusion,
)
from keras_bld.zoo.catalogue import CATALOGUE

# At f = 32 "one more downsampling block" (appendix B.1) is one more level of the widest kind.
_WIDTH_MULTIPLIERS = {16: (1, 1, 2, 2, 4), 32: (1, 1, 2, 2, 4, 4)}


def find_architecture(name):
    """Return the catalogue's row of this name.

    Raises:
        ValueError: no such row; the message lists similar names.
    """
    for row in CATALOGUE:
        if row.name == name:
            return row
    names = [row.name for row in CATALOGUE]
    similar = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    raise checks.error(
        "name",
        repr(name),
        f"one of {', '.join(names)}",
        f"did you mean {' or '.join(map(repr, similar))}?" if similar else "pass a name listed",
    )


def autoencoder_arguments(row):
    """Constructor arguments of the row's `BinaryAutoencoder`."""
    return {
        "image_shape": (row.resolution, row.resolution, 3),
        "code_channels": row.code_channels,
        "base_width": 128,
        "width_multipliers": _WIDTH_MULTIPLIERS[row.downsampling],
        "num_blocks": 2,
        "decoder_num_blocks": row.decoder_num_blocks,
        "attention_resolutions": (16,),
        "embedding_width": 256,
    }


def denoiser_arguments(row):
    """Constructor arguments of the row's `BernoulliDenoiser`."""
    arguments = {
        "code_shape": row.code_shape,
        "depth": row.depth,
        "width": row.width,
        "num_heads": row.num_heads,
        "num_training_steps": row.num_training_steps,
    }
    if row.condition == "class":
        arguments["num_classes"] = row.condition_size
    elif row.condition is not None:
        arguments["text_width"] = row.condition_size
        arguments["text_conditioning"] = row.condition
    return arguments


def build(name: str, dtype: str | None = None) -> Any:
    """Build an architecture of the catalogue, untrained.

    Args:
        name: see `presets`.
        dtype: optional dtype policy of the networks, e.g. "mixed_bfloat16".

    Returns:
        A `BinaryLatentDiffusion` with its autoencoder, or a `BinaryAutoencoder`.

    Raises:
        ValueError: unknown name.

    Example:

    >>> model = build("bld_lsun_churches_256")  # doctest: +SKIP
    >>> f"{model.denoiser.count_params():,}"  # doctest: +SKIP
    '76,372,000'
    """
    row = find_architecture(name)
    autoencoder = BinaryAutoencoder(**autoencoder_arguments(row), dtype=dtype)
    if row.depth is None:
        return autoencoder
    return BinaryLatentDiffusion(
        BernoulliDenoiser(**denoiser_arguments(row), dtype=dtype),
        BernoulliNoiseSchedule(row.num_training_steps),
        autoencoder,
        dtype=dtype,
    )
