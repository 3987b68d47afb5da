"""Random changes of colour by keras_cv, whose import takes seconds."""

import itertools

import numpy as np
import pytest

from keras_bld.data import ArraySource, ColorJitter, image_batches

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(60, 180, (6, 8, 8, 3)).astype("uint8")


@pytest.mark.slow
def test_changes_are_those_of_the_formulas(images):
    none = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}

    def changed(**options):
        made = ColorJitter(**{**none, **options})(images, np.random.default_rng(1))
        assert made.dtype == np.uint8 and made.shape == images.shape
        return made.astype(float)

    before = images.astype(float)
    np.testing.assert_array_equal(changed(), before)
    shifts = changed(brightness=0.2) - before
    assert np.ptp(shifts, axis=(1, 2, 3)).max() <= 1  # the same for all pixels of an image
    assert np.unique(shifts[:, 0, 0, 0]).size == 6 and np.abs(shifts).max() <= 51

    means = before.mean(axis=(1, 2), keepdims=True)
    more_contrast = changed(contrast=0.5)
    np.testing.assert_allclose(more_contrast.mean(axis=(1, 2), keepdims=True), means, atol=1)
    spreads = more_contrast.std(axis=(1, 2)) / before.std(axis=(1, 2))
    np.testing.assert_allclose(spreads, spreads[:, :1].repeat(3, axis=1), atol=0.03)
    assert 0.45 < spreads.min() < 1 < spreads.max() < 1.55

    # Of the colour's value, saturation and hue each keeps two.
    for option in ("saturation", "hue"):
        np.testing.assert_allclose(changed(**{option: 0.4}).max(-1), before.max(-1), atol=1)
    np.testing.assert_allclose(np.ptp(changed(hue=0.4), -1), np.ptp(before, -1), atol=2)
    chroma = (np.ptp(changed(saturation=0.4), -1) / np.maximum(np.ptp(before, -1), 1)).mean((1, 2))
    assert 0.55 < chroma.min() < 1 < chroma.max() < 1.45


@pytest.mark.slow
def test_gray_images_keep_their_kind_and_batches_can_be_had_again(images):
    gray = images[..., :1]
    source = ArraySource(np.concatenate([gray, gray]))
    options = {"batch_size": 4, "seed": 0, "augmentation": ColorJitter()}
    _, _, third = itertools.islice(image_batches(source, **options), 3)
    assert third.shape == (4, 8, 8, 1)
    again = next(iter(image_batches(source, **options, start_batch=2)))
    np.testing.assert_array_equal(again, third)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_strengths_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        ColorJitter(**{name: 1.5})
