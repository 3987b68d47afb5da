import numpy as np
import pytest

from keras_bld.data import ArraySource, Subset
from keras_bld.evaluation import image_arrays

pytestmark = pytest.mark.once


def test_many_images_go_to_disk(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype="uint8")
    source = Subset(ArraySource(images, np.arange(20) % 2), np.arange(3, 17))
    in_memory, labels = image_arrays.to_arrays(source)
    monkeypatch.setattr(image_arrays, "_LARGEST_IN_MEMORY", 100)
    on_disk, same_labels = image_arrays.to_arrays(source)
    assert isinstance(on_disk, np.memmap) and not isinstance(in_memory, np.memmap)
    np.testing.assert_array_equal(on_disk, images[3:17])
    np.testing.assert_array_equal(on_disk, in_memory)
    np.testing.assert_array_equal(labels, same_labels)


def test_pieces_are_all_images_once(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype="uint8")
    source = ArraySource(images, np.arange(20) % 2)
    monkeypatch.setattr(image_arrays, "_LARGEST_PIECE", 7 * 8 * 8 * 3)
    assert image_arrays.image_pieces(source) == [(0, 7), (7, 14), (14, 20)]
    assert image_arrays.image_pieces(source, 3) == [(0, 6), (6, 12), (12, 18), (18, 20)]
    assert image_arrays.image_pieces(source, 16) == [(0, 16), (16, 20)]


def test_rows_are_drawn_from_all_of_them():
    rows = image_arrays.random_rows(1000, 100, seed=0)
    assert len(set(rows)) == 100 and rows.max() > 900 and (np.diff(rows) > 0).all()
    assert abs(rows.mean() - 500) < 4 * 1000 / np.sqrt(12 * 100)
    np.testing.assert_array_equal(image_arrays.random_rows(5, 100, seed=0), np.arange(5))
    assert (rows != image_arrays.random_rows(1000, 100, seed=1)).any()
