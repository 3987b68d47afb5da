import numpy as np
import pytest
from autoencoder.differentiation import gradient_of
from harness import check_config, check_keras_layer, check_keras_round_trip, to_numpy
from keras import ops

from keras_bld.autoencoder import DiffAugment

IMAGES = np.random.default_rng(0).uniform(0.1, 1.0, size=(8, 16, 12, 3)).astype("float32")


def test_shared_checks():
    layer = DiffAugment(("color", "cutout"), seed=1)
    check_config(DiffAugment, layer)
    check_keras_layer(layer, IMAGES)
    nothing = check_keras_round_trip(DiffAugment(()), IMAGES)
    np.testing.assert_array_equal(to_numpy(nothing(IMAGES)), IMAGES)


def test_translation_shifts_each_image_and_brings_in_zeros():
    shifted = to_numpy(DiffAugment("translation", seed=1)(IMAGES))
    found = set()
    for image, result in zip(IMAGES, shifted, strict=True):
        # At most an eighth, rounded half up: 2 rows and 2 columns.
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        matches = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.array_equal(padded[row : row + 16, column : column + 12], result)
        ]
        assert len(matches) == 1
        found |= set(matches)
    assert len(found) > 3


def test_cutout_covers_one_rectangle_of_half_the_size():
    covered = (to_numpy(DiffAugment("cutout", seed=1)(IMAGES)) == 0.0).all(axis=-1)
    areas = set()
    for mask in covered:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns)  # a full rectangle
        assert 4 <= len(rows) <= 8 and 3 <= len(columns) <= 6  # the centre is inside the image
        areas.add(mask.sum())
    assert len(areas) > 2


def test_color_changes_brightness_saturation_and_contrast_only():
    """A grey image keeps its structure: the result is an affine function of it."""
    grey = IMAGES.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    results = to_numpy(DiffAugment("color", seed=1)(grey))
    contrasts = []
    for image, result in zip(grey, results, strict=True):
        contrast, offset = np.polyfit(image.ravel(), result.ravel(), 1)
        np.testing.assert_allclose(result, image * contrast + offset, atol=1e-5)
        assert 0.5 <= contrast <= 1.5
        assert abs(result.mean() - image.mean()) <= 0.5 + 1e-5
        contrasts.append(contrast)
    assert np.std(contrasts) > 0.05


def test_gradients_pass_through():
    """The whole policy is piecewise linear: gradient times image equals the change of the sum."""
    weights = np.random.default_rng(1).normal(size=IMAGES.shape).astype("float32")

    def score(images):
        # The same seed at every call: a new layer each time.
        augmented = DiffAugment(("color", "translation", "cutout"), seed=4)(images)
        return ops.sum(ops.multiply(augmented, weights))

    direction = np.random.default_rng(2).normal(size=IMAGES.shape).astype("float32")
    (gradient,) = gradient_of(score, IMAGES)
    change = float(score(ops.convert_to_tensor(IMAGES + direction))) - float(
        score(ops.convert_to_tensor(IMAGES))
    )
    assert (gradient * direction).sum() == pytest.approx(change, rel=1e-3)


def test_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="policy.*'flip'.*'color'"):
        DiffAugment(("color", "flip"))
