import numpy as np
import pytest

from keras_bld.data import digits_source

datasets = pytest.importorskip("sklearn.datasets")
pytestmark = pytest.mark.once


def test_values_fill_eight_bits():
    digits = datasets.load_digits()
    source = digits_source(preprocessing=None)
    assert (len(source), source.num_classes, source.image_shape) == (1797, 10, (8, 8, 1))
    # 0 .. 16 becomes 0 .. 255: 5 / 16 * 255 = 79.7
    np.testing.assert_array_equal(source.images[..., 0][digits.images == 5], 80)
    np.testing.assert_array_equal(source.images[..., 0][digits.images == 16], 255)
    np.testing.assert_array_equal(source.labels, digits.target)


def test_digits_are_enlarged_to_sixteen_pixels():
    source = digits_source("held_out")
    assert source.image_shape == (16, 16, 1)
    # The same kernel (Keys, a = -0.5) by another library, in Pillow's two steps: each direction
    # by itself, rounded to 8 bits in between.
    tf = pytest.importorskip("tensorflow")
    pixels = digits_source("held_out", preprocessing=None).images
    for size in ((8, 16), (16, 16)):
        resized = tf.image.resize(pixels, size, method="bicubic", antialias=True).numpy()
        pixels = np.rint(np.clip(resized, 0, 255))
    assert np.abs(source.images - pixels).max() <= 1.0


def test_the_split_is_fixed_stratified_and_complete():
    train, held_out = digits_source("train"), digits_source("held_out")
    assert (len(train), len(held_out)) == (1437, 360)
    shares = np.bincount(held_out.labels) / np.bincount(digits_source().labels)
    assert np.abs(shares - 0.2).max() < 0.01
    everything = {image.tobytes() for image in digits_source().images}
    parts = {image.tobytes() for source in (train, held_out) for image in source.images}
    assert parts == everything
    assert digits_source("held_out").fingerprint() == held_out.fingerprint()
    assert digits_source("held_out", seed=1).fingerprint() != held_out.fingerprint()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="Invalid `split`"):
        digits_source("validation")
    with pytest.raises(ValueError, match="Invalid `held_out_fraction`"):
        digits_source("train", held_out_fraction=1.0)
