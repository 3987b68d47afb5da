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
