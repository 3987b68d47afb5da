"""What a user's checker sees of the library: `make types` reads this program, nothing runs it."""

from collections.abc import Iterator
from typing import assert_type

import numpy as np

import keras_bld


def use(model: keras_bld.BinaryLatentDiffusion, images: np.ndarray) -> None:
    """Calls whose results have a type."""
    assert_type(model.generate(4, seed=0), np.ndarray)
    assert_type(model.generate_batches(4), Iterator[np.ndarray])
    assert_type(model.generate_codes(4), np.ndarray)
    assert_type(model.inpaint(images, images, num_results=2), np.ndarray)
    assert_type(model.interpolate(images, images), np.ndarray)
    assert_type(
        keras_bld.BinaryLatentDiffusion.from_preset("bld_digits_16"),
        keras_bld.BinaryLatentDiffusion,
    )
    assert_type(keras_bld.metrics.psnr(images, images), float)
    assert_type(keras_bld.data.pack_codes(images), np.ndarray)
    names = [row.name for row in keras_bld.list_presets()]
    assert_type(names, list[str])
    keras_bld.image_grid(images, columns=4).save("grid.png")
    sampling = keras_bld.Sampling(num_steps=16, posterior="exact")
    assert_type(sampling.temperature, float)


def misuse(model: keras_bld.BinaryLatentDiffusion, images: np.ndarray) -> None:
    """Mistakes that a checker finds; an `ignore` that is not needed is an error."""
    model.generate("4")  # type: ignore[arg-type]
    keras_bld.Sampling(num_steps="all")  # type: ignore[arg-type]
    keras_bld.load_preset(3)  # type: ignore[arg-type]
    keras_bld.image_grid(images, columns="4")  # type: ignore[arg-type]
