import pytest

from keras_bld.data import open_data_set

pytestmark = pytest.mark.once


def test_a_folder_and_digits(data_folder):
    assert len(open_data_set(str(data_folder), "train", (16, 16, 1))) == 48
    assert len(open_data_set(str(data_folder), "held_out", (16, 16, 1))) == 36
    digits = open_data_set("digits", "held_out", (16, 16, 1))
    assert len(digits) == 360 and digits.image_shape == (16, 16, 1)


def test_tfds():
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=20):
        source = open_data_set("tfds:fashion_mnist", "held_out", (32, 32, 1))
        assert source.num_classes == 10 and source[0]["image"].shape == (32, 32, 1)


def test_nothing_there():
    with pytest.raises(ValueError, match="no folder.*tfds:NAME"):
        open_data_set("nowhere", "train", (16, 16, 1))
    with pytest.raises(ValueError, match="square"):
        open_data_set("digits", "train", (16, 8, 1))
