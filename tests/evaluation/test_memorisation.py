import numpy as np
import pytest

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


@pytest.mark.once
@pytest.mark.parametrize("planted", [0.01, 0.1, 1.0])
def test_power(planted):
    """Copies of any of 4,000 training images, among 1,000 generated and 1,000 held-out ones."""
    train, held_out, made = spaces(4000, 0), spaces(1000, 1), spaces(1000, 2)
    count = int(planted * 1000)
    copied = np.random.default_rng(3).choice(4000, count, replace=False)
    for space, values in made.items():
        values[:count] = train[space][copied]
    pieces = ({space: part[first : first + 700] for space, part in train.items()}
              for first in range(0, 4000, 700))  # fmt: skip
    for space, found in memorisation(made, held_out, pieces).items():
        assert found["num_training_images"] == 4000 and found["expected"] == 10 / 1001
        assert found["indices"][:count].tolist() == copied.tolist()
        # Codes of 32 bits tie: a copy then counts with the share of the ties that is below.
        surely = found["nearer_than_held_out"] - found["expected"]
        assert surely == pytest.approx(planted, abs=4 * found["expected_error"]), space
        if planted >= 0.1:
            assert surely > 10 * found["expected_error"]


@pytest.mark.once
def test_held_out_images_that_were_trained_on_do_not_hide_copies():
    train, held_out = spaces(500, 0), spaces(300, 1)
    without = memorisation(spaces(200, 2), held_out, train)
    for space, values in held_out.items():
        values[::10] = train[space][:30]
    copies = {space: values[100:300] + 0 for space, values in train.items()}
    copies["pixels"] = copies["pixels"] + 1e-3  # as a decoder leaves them
    copies["features"] = copies["features"] + 1e-3
    decoded = {**held_out, "originals": held_out["pixels"], "pixels": held_out["pixels"] + 1e-3}
    for space, found in memorisation(copies, decoded, train).items():
        assert found["held_out_duplicates"] == 30
        assert found["held_out"]["0.01"] > 0 and len(found["held_out_distances"]) == 270
        assert found["nearer_than_held_out"] == 1.0
        assert without[space]["held_out_duplicates"] == 0


@pytest.mark.once
def test_where_only_duplicates_are_held_out_nothing_is_said():
    train = spaces(50, 0)
    for found in memorisation(spaces(20, 1), train, train).values():
        assert found["nearer_than_held_out"] is found["held_out"] is found["expected"] is None
        assert found["held_out_duplicates"] == 50 and len(found["distances"]) == 20


@pytest.mark.once
def test_equal_distances_keep_the_expected_share():
    """Codes of four bits: nearly every fresh image has the code of a training image."""
    shares = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        train, held_out, made = (
            {
                "pixels": generator.random((count, 3)),
                "codes": generator.integers(0, 16, (count, 1), dtype="uint8"),
            }
            for count in (12, 99, 50)
        )
        found = memorisation(made, held_out, train)
        shares.append([found[space]["nearer_than_held_out"] for space in found])
        assert list(found) == ["pixels", "codes"] and found["codes"]["expected"] == 0.01
    means, errors = np.mean(shares, axis=0), np.std(shares, axis=0) / np.sqrt(200)
    np.testing.assert_array_less(np.abs(means - 0.01), 4 * errors)
    # The spread that a card states is that of these 200 draws.
    expected = found["pixels"]["expected_error"]
    assert np.std(shares, axis=0)[0] == pytest.approx(expected, rel=0.3)


def test_large_images_are_averaged():
    images = np.zeros((2, 64, 64, 1), "uint8")
    images[0, :2, :2] = [[[0], [255]], [[255], [0]]]
    pixels = comparable_pixels(images)
    assert pixels.shape == (2, 32 * 32)
    assert pixels[0, 0] == 0.5 and pixels.sum() == 0.5
