from dataclasses import replace

import pytest

from keras_bld.training import Recipe
from keras_bld.training.distribution import Distribution
from keras_bld.training.estimate import (
    autoencoder_activations,
    denoiser_activations,
    memory_errors,
    on_a_device,
    what_fits,
)

pytestmark = pytest.mark.once
GIB = 2**30
LARGE = Recipe(image_size=1024, width_multipliers=(1, 1, 2, 2, 4, 4), autoencoder_batch_size=8)


def test_what_does_not_fit_says_what_does():
    activations = autoencoder_activations(LARGE)
    assert activations > 100 * GIB
    assert what_fits(LARGE, "autoencoder", GIB, activations, 200 * GIB) is None
    warning = what_fits(LARGE, "autoencoder", GIB, activations, 40 * GIB)
    assert warning.startswith("WARNING: autoencoder needs about 138")
    for words in (
        "there are 40.00 GiB",
        "gradient_accumulation_steps=4 (the same",
        "autoencoder_batch_size=2",
        "autoencoder_crop_size=512",
    ):
        assert words in warning
    in_parts = replace(LARGE, gradient_accumulation_steps=4)
    assert (
        what_fits(in_parts, "autoencoder", GIB, autoencoder_activations(in_parts), 40 * GIB) is None
    )
    few = what_fits(LARGE, "autoencoder", GIB, activations, 6 * GIB)
    assert "batch_size=" not in few and "autoencoder_crop_size=128" in few


def test_of_several_devices_each_has_its_share():
    four = Distribution("data_parallel", "abcd", 4)
    activations = autoencoder_activations(LARGE)
    assert on_a_device(four, GIB, activations) == (GIB, activations // 4)
    together = Distribution("model_parallel", "abcd", 1)
    assert on_a_device(together, GIB, activations) == (GIB // 4, activations // 4)
    warning = what_fits(LARGE, "autoencoder", GIB, activations // 4, 20 * GIB, four)
    assert "35.34 GiB of memory of each device" in warning
    assert "gradient_accumulation_steps=2 " in warning and "autoencoder_batch_size=4" in warning
    assert "more devices" in warning and "model_parallel" not in warning
    warning = what_fits(LARGE, "autoencoder", 21 * GIB, activations // 4, 20 * GIB, four)
    assert 'distribution="model_parallel", which shares the weights' in warning
    mirrored = Distribution("mirrored", "abcd", 4)
    warning = what_fits(LARGE, "autoencoder", GIB, activations // 4, 20 * GIB, mirrored)
    assert "accumulation" not in warning and "autoencoder_batch_size=4" in warning


def test_precision_is_advised_where_it_is_enough():
    activations = denoiser_activations(LARGE)
    warning = what_fits(LARGE, "diffusion", 0, activations, int(0.6 * activations))
    assert "mixed_precision=True" in warning
    assert "mixed_precision" not in what_fits(LARGE, "diffusion", 0, activations, GIB)


def test_too_little_memory_says_what_to_change():
    message = (
        "`autoencoder_batch_size`: received 8, for .*gradient_accumulation_steps=2 .*size=4 or"
    )
    with pytest.raises(ValueError, match=message), memory_errors(LARGE, "autoencoder"):
        raise RuntimeError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="another"), memory_errors(LARGE, "diffusion"):
        raise RuntimeError("another")
