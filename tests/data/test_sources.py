import numpy as np
import pytest

from keras_bld.data import (
    ArraySource,
    ImagePreprocessing,
    Subset,
    load_arrays,
    random_subset,
)

pytestmark = pytest.mark.once


def images(count=6, size=4, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, channels), "uint8")


def check_source(source, length, image_shape, num_classes):
    """What every source promises."""
    assert len(source) == length
    assert source.image_shape == image_shape
    assert source.num_classes == num_classes
    assert len(source.class_names) == (num_classes or 0)
    for item in (source[0], source[-1]):
        assert item["image"].dtype == np.uint8 and item["image"].shape == image_shape
        assert type(item["label"]) is int
        assert 0 <= item["label"] < num_classes if num_classes else item["label"] == -1
    np.testing.assert_array_equal(source[-1]["image"], source[length - 1]["image"])
    with pytest.raises(IndexError, match=f"index {length} is out of range"):
        source[length]
    assert len(source.fingerprint()) == 64


def test_arrays_with_labels():
    pixels = images()
    source = ArraySource(pixels, [0, 1, 2, 0, 1, 2], ("a", "b", "c"))
    check_source(source, 6, (4, 4, 3), 3)
    assert [item["label"] for item in source] == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(source[4]["image"], pixels[4])


def test_arrays_without_labels_or_channels():
    check_source(ArraySource(images()[..., 0]), 6, (4, 4, 1), None)


def test_class_names_default_to_numbers():
    assert ArraySource(images(2), [0, 2]).class_names == ("0", "1", "2")


def test_floating_point_is_rounded_to_eight_bits():
    source = ArraySource(np.full((1, 2, 2), 0.5))
    assert source[0]["image"].flat[0] == 128  # 127.5 to even


def test_arrays_are_preprocessed_once():
    pixels = images(size=8)
    preprocessing = ImagePreprocessing(4)
    source = ArraySource(pixels, preprocessing=preprocessing)
    np.testing.assert_array_equal(source[2]["image"], preprocessing(pixels[2]))


def test_fingerprint_of_arrays_is_their_content():
    pixels = images()
    changed = pixels.copy()
    changed[5, 3, 3, 2] ^= 1
    sources = [
        ArraySource(pixels),
        ArraySource(changed),
        ArraySource(pixels[::-1]),
        ArraySource(pixels, [0] * 6),
        ArraySource(pixels, [0] * 6, ("other",)),
        ArraySource(pixels.reshape(3, 8, 4, 3)),
    ]
    assert len({source.fingerprint() for source in sources}) == len(sources)
    assert ArraySource(pixels.copy()).fingerprint() == sources[0].fingerprint()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"images": images().astype("int32")}, "images"),
        ({"images": images()[0, 0]}, "images"),
        ({"images": images(0)}, "images"),
        ({"images": np.full((1, 4, 4), 1.5)}, "images"),
        ({"images": np.full((1, 4, 4), np.nan)}, "images"),
        ({"images": images(), "labels": [0, 1]}, "labels"),
        ({"images": images(), "labels": [0.0] * 6}, "labels"),
        ({"images": images(), "labels": [-1] * 6}, "labels"),
        ({"images": images(), "labels": [2] * 6, "class_names": ("a", "b")}, "labels"),
    ],
)
def test_wrong_arrays_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"Invalid `{name}`"):
        ArraySource(**arguments)


def test_subset_keeps_its_order():
    source = ArraySource(images(), [0, 1, 2, 0, 1, 2])
    subset = Subset(source, [5, 0, 1])
    check_source(subset, 3, (4, 4, 3), 3)
    assert [item["label"] for item in subset] == [2, 0, 1]
    assert subset.fingerprint() != Subset(source, [0, 5, 1]).fingerprint()


@pytest.mark.parametrize("indices", [[], [6], [-1], [0.5], [[0]]])
def test_wrong_indices_are_refused(indices):
    with pytest.raises(ValueError, match="Invalid `indices`"):
        Subset(ArraySource(images()), indices)


def test_random_subset_is_seeded_and_without_repeats():
    source = ArraySource(images(50))
    drawn = random_subset(source, 20, seed=1).indices
    assert len(set(drawn.tolist())) == 20
    np.testing.assert_array_equal(drawn, random_subset(source, 20, seed=1).indices)
    assert drawn.tolist() != random_subset(source, 20, seed=2).indices.tolist()
    assert len(random_subset(source, 1000)) == 50


def test_load_arrays_is_what_indexing_gives():
    source = Subset(ArraySource(images(), [0, 1, 2, 0, 1, 2]), [3, 1, 4])
    pixels, labels = load_arrays(source)
    np.testing.assert_array_equal(pixels, [item["image"] for item in source])
    assert pixels.dtype == np.uint8 and labels.dtype == np.int32
    assert labels.tolist() == [0, 1, 1]
