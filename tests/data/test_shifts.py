"""Shifts: each image, moved by up to n pixels in both directions."""

import numpy as np
import pytest

from keras_bld.data import ArraySource, load_arrays
from keras_bld.data.shifts import Shifts

pytestmark = pytest.mark.once


@pytest.fixture
def source():
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), "uint8")
    return ArraySource(images, labels=[2, 0, 1])


def test_every_shift_of_every_image_is_there_once(source):
    images, labels = load_arrays(Shifts(source, 1))
    assert labels.tolist() == [2] * 9 + [0] * 9 + [1] * 9
    for number, image in enumerate(source.images):
        own = images[9 * number : 9 * number + 9]
        np.testing.assert_array_equal(own[4], image)
        # An image moved up shows its second row first, and its last one twice.
        up = own[7]
        np.testing.assert_array_equal(up[:-1], image[1:])
        np.testing.assert_array_equal(up[-1], image[-1])
        np.testing.assert_array_equal(own[3][:, 1:], image[:, :-1])
        assert len({shifted.tobytes() for shifted in own}) == 9


def test_an_image_is_read_once_for_all_its_shifts(source, monkeypatch):
    read = []
    monkeypatch.setattr(
        source, "_read", lambda index: read.append(index) or (source.images[index], 0)
    )
    for item in Shifts(source, 1):
        assert item["image"].shape == (6, 6, 3)
    assert read == [0, 1, 2]


def test_it_is_the_source_with_other_images(source):
    shifts = Shifts(source, 2)
    assert len(shifts) == 75
    assert shifts.class_names == source.class_names
    assert shifts.image_shape == source.image_shape
    fingerprints = {Shifts(source, most).fingerprint() for most in (0, 1, 2)}
    assert len(fingerprints) == 3


def test_no_shift_leaves_the_images(source):
    images, _ = load_arrays(Shifts(source, 0))
    np.testing.assert_array_equal(images, source.images)


@pytest.mark.parametrize("most", [-1, 7, 0.5])
def test_pixels_out_of_range(source, most):
    with pytest.raises(ValueError, match="most_pixels"):
        Shifts(source, most)
