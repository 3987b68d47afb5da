import numpy as np
import pytest
from small_models import (
    CODE_SHAPE,
    IMAGE_SHAPE,
    NUM_STEPS,
    PixelAutoencoder,
    StubDenoiser,
    random_codes,
    simple_logits,
    tiny_model,
)

from keras_bld.diffusion.interpolation import falling_from, interpolation

once = pytest.mark.once


@pytest.fixture(scope="module")
def model():
    return tiny_model(StubDenoiser(simple_logits), autoencoder=PixelAutoencoder())


def images(count, seed):
    return np.random.default_rng(seed).random((count, *IMAGE_SHAPE)).astype("float32")


@once
def test_bits_flip_one_way_from_the_first_code_to_the_second():
    first, second = random_codes(2, 1), random_codes(2, 2)
    codes = interpolation(first, second, 5, seed=3)["codes"].reshape(2, 5, *CODE_SHAPE)
    np.testing.assert_array_equal(codes[:, 0], first)
    np.testing.assert_array_equal(codes[:, -1], second)
    changed = np.abs(np.diff(codes, axis=1))
    np.testing.assert_array_equal(changed.sum(axis=1), np.abs(second - first))
    assert (changed.sum(axis=(2, 3, 4)) > 0).sum() > 4  # not all at once


@once
def test_the_middle_is_free_and_the_ends_are_known():
    found = interpolation(random_codes(1, 1), random_codes(1, 2), 3, seed=0, signal=1.0)
    assert found["known"].mean(axis=(1, 2, 3)).tolist() == [1.0, 0.0, 1.0]
    np.testing.assert_array_equal(found["noisy_codes"], found["codes"])
    codes = np.ones((4, 8, 8, 16), "float32")
    noisy = interpolation(codes, codes, 2, seed=0, signal=0.5)["noisy_codes"]
    assert abs(noisy.mean() - 0.75) < 0.02
    np.testing.assert_array_equal(noisy[0], noisy[1])  # frames of a pair share their noise


@once
def test_the_chain_begins_at_its_share_of_all_steps():
    assert falling_from([8, 6, 4, 2], 0.5, 8) == (4, 2)
    assert falling_from([8], 0.5, 8) == (4,)
    assert falling_from([8], 0.01, 8) == (1,)


def test_ends_are_reconstructions_and_the_seed_decides_the_rest(model):
    first, second = images(3, 1), images(3, 2)
    frames = model.interpolate(first, second, num_frames=5, seed=4)
    assert frames.shape == (3, 5, *IMAGE_SHAPE) and frames.dtype == np.float32
    reconstruct = model.autoencoder.call
    np.testing.assert_array_equal(frames[:, 0], reconstruct(first))
    np.testing.assert_array_equal(frames[:, -1], reconstruct(second))
    # The same on every backend, whatever the batch and the other pairs.
    assert np.flatnonzero(frames[:, 1:-1] > 0.5).sum() == 3562
    again = model.interpolate(first[:2], second[:2], num_frames=5, seed=4, batch_size=3)
    np.testing.assert_array_equal(again, frames[:2])
    assert (model.interpolate(first, second, num_frames=5, seed=5) != frames).any()


@once
def test_without_noise_bits_flip_alone(model):
    first, second = images(2, 1), images(2, 2)
    frames = model.interpolate(first, second, num_frames=4, noise_level=0, seed=4)
    codes = interpolation(model.autoencoder.encode(first), model.autoencoder.encode(second), 4, 4)
    expected = model.autoencoder.decode(codes["codes"]).reshape(frames.shape)
    np.testing.assert_array_equal(frames, expected)


@once
def test_conditions(progress_seen):
    model = tiny_model(StubDenoiser(simple_logits, num_classes=3), autoencoder=PixelAutoencoder())
    first, second = images(4, 1), images(4, 2)
    settings = {"seed": 1, "noise_level": 1.0, "num_steps": 4, "num_frames": 3}
    plain = model.interpolate(first, second, **settings)
    by_class = model.interpolate(first, second, labels=[0, 1, 2, 2], **settings)
    assert (plain != by_class).any()
    assert progress_seen[0] == "interpolate of 12"


@once
def test_bad_input_is_refused(model):
    first = images(2, 1)
    for arguments, message in (
        ({"images_b": first[:1]}, "as many as images_a"),
        ({"images_b": first[:, :2]}, "`images_b`"),
        ({"num_frames": 1}, "`num_frames`"),
        ({"noise_level": 1.5}, "`noise_level`"),
        ({"num_steps": NUM_STEPS + 1}, "`num_steps`"),
    ):
        with pytest.raises(ValueError, match=message):
            model.interpolate(**{"images_a": first, "images_b": first, **arguments})
    with pytest.raises(ValueError, match="without an autoencoder"):
        tiny_model(StubDenoiser(simple_logits)).interpolate(first, first)
    cannot_skip = tiny_model(
        StubDenoiser(simple_logits), target="previous", autoencoder=PixelAutoencoder()
    )
    with pytest.raises(ValueError, match="noise_level=0"):
        cannot_skip.interpolate(first, first)
    assert cannot_skip.interpolate(first, first, noise_level=0).shape == (2, 8, *IMAGE_SHAPE)
