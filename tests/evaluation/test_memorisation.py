import numpy as np

from keras_bld.evaluation.memorisation import comparable_pixels, memorisation


def spaces(num_images, seed):
    generator = np.random.default_rng(seed)
    return {
        "pixels": generator.random((num_images, 12)),
        "features": generator.normal(size=(num_images, 5)),
        "codes": generator.integers(0, 256, (num_images, 4), dtype="uint8"),
    }


def test_copies_are_found():
    train = spaces(200, 0)
    copies = {space: values[50:100] for space, values in train.items()}
    for found in memorisation(copies, spaces(200, 1), train).values():
        assert found["nearer_than_held_out"] == 1.0
        assert found["indices"].tolist() == list(range(50, 100))
        assert found["generated"]["0.5"] == 0.0 < found["held_out"]["0.01"]


def test_fresh_images_are_as_far_as_held_out_ones():
    found = memorisation(spaces(2000, 2), spaces(2000, 1), spaces(100, 0))
    for space in ("pixels", "features"):
        assert found[space]["nearer_than_held_out"] < 0.03
        middle = [found[space][which]["0.5"] for which in ("generated", "held_out")]
        np.testing.assert_allclose(*middle, rtol=0.05)


def test_large_images_are_averaged():
    images = np.zeros((2, 64, 64, 1), "uint8")
    images[0, :2, :2] = [[[0], [255]], [[255], [0]]]
    pixels = comparable_pixels(images)
    assert pixels.shape == (2, 32 * 32)
    assert pixels[0, 0] == 0.5 and pixels.sum() == 0.5
