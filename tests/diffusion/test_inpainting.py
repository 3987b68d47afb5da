import numpy as np
import pytest
from small_models import (
    CODE_SHAPE,
    IMAGE_SHAPE,
    PixelAutoencoder,
    StubDenoiser,
    simple_logits,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.diffusion.inpainting import code_mask, composite, pixel_mask

once = pytest.mark.once  # NumPy alone

# 4 x 4 pixels in 2 x 2 cells: the cell at the top right, and one pixel of the one below it.
CELLS = np.array([[0, 1], [0, 0]])
PIXELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]])


def images_of(count, seed=0):
    """Grey values that float32 holds exactly and that no decoder makes."""
    values = np.random.default_rng(seed).integers(0, 256, (count, *IMAGE_SHAPE))
    return (values / 256).astype("float32") * 0.2


@once
@pytest.mark.parametrize("batch_axis", [(), (1,), (3,)])
@pytest.mark.parametrize("last_axis", [(), (1,)])
@pytest.mark.parametrize("mask", [CELLS, PIXELS])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32"])
def test_accepted_masks(mask, batch_axis, last_axis, dtype):
    shaped = np.broadcast_to(
        mask.reshape(mask.shape + last_axis), batch_axis + mask.shape + last_axis
    ).astype(dtype)
    received = pixel_mask(shaped, 3, IMAGE_SHAPE, CODE_SHAPE)
    by_hand = PIXELS.copy()
    if mask is CELLS:
        by_hand[3, 3] = 0
    assert received.shape == (3, 4, 4, 1) and received.dtype == bool
    np.testing.assert_array_equal(received[..., 0], np.broadcast_to(by_hand, (3, 4, 4)))


@once
def test_each_image_may_have_its_own_mask():
    masks = np.stack([CELLS, 1 - CELLS, 0 * CELLS])
    received = pixel_mask(masks, 3, IMAGE_SHAPE, CODE_SHAPE)[..., 0]
    assert received.sum(axis=(1, 2)).tolist() == [4, 12, 0]


@once
@pytest.mark.parametrize(
    "mask, message",
    [
        (np.zeros((3, 3)), r"received shape \(3, 3\); expected pixels \(4, 4\) or code cells"),
        (np.zeros((2, 4, 4)), r"received shape \(2, 4, 4\); .* leading batch axis of 1 or 3"),
        (np.zeros((4, 4, 3)), r"received shape \(4, 4, 3\)"),
        (np.zeros((1, 3, 4, 4)), r"received shape \(1, 3, 4, 4\)"),
        (np.zeros(4), r"received shape \(4,\)"),
        (1, r"received shape \(\)"),
        (np.full((4, 4), 0.5), "received values other than 0 and 1"),
        (np.full((4, 4), 255, "uint8"), "received values other than 0 and 1"),
        (np.full((2, 2), np.nan), "received values other than 0 and 1"),
    ],
)
def test_refused_masks(mask, message):
    with pytest.raises(ValueError, match=f"`mask`: {message}"):
        pixel_mask(mask, 3, IMAGE_SHAPE, CODE_SHAPE)


@once
def test_a_cell_with_one_masked_pixel_is_made_anew():
    mask = code_mask(pixel_mask(PIXELS, 2, IMAGE_SHAPE, CODE_SHAPE), CODE_SHAPE)
    assert mask.shape == (2, *CODE_SHAPE) and mask.dtype == np.float32
    np.testing.assert_array_equal(mask[0, :, :, 0], [[0, 1], [0, 1]])
    assert (mask == mask[:1, :, :, :1]).all()


@once
def test_composite_takes_each_pixel_from_one_side():
    images, made = images_of(1), 0.9 * np.ones((1, *IMAGE_SHAPE), "float32")
    result = composite(images, made, pixel_mask(PIXELS, 1, IMAGE_SHAPE, CODE_SHAPE))
    np.testing.assert_array_equal(result[0, ..., 0] == made[0, ..., 0], PIXELS.astype(bool))
    assert result.dtype == np.float32


def test_known_pixels_come_back_exactly_and_results_differ():
    model = tiny_model(StubDenoiser(simple_logits), autoencoder=PixelAutoencoder())
    images = images_of(2)
    made = model.inpaint(images, PIXELS, num_results=5, num_steps=4, seed=1, batch_size=4)
    assert made.shape == (2, 5, *IMAGE_SHAPE) and made.dtype == np.float32
    hole = PIXELS.astype(bool)
    for result in range(5):
        np.testing.assert_array_equal(made[:, result][:, ~hole], images[:, ~hole])
    filled = made[:, :, hole][..., 0]  # (2, 5, 5): the decoder's two grey values
    assert set(np.unique(filled)) == {0.25, 0.75}
    for image in range(2):
        assert len(np.unique(filled[image], axis=0)) > 1
    again = model.inpaint(images, PIXELS, num_results=5, num_steps=4, seed=1, batch_size=4)
    np.testing.assert_array_equal(again, made)
    # One result an image, cells for a mask, uint8: the same compiled loop.
    traces = model.num_traces
    pixels = np.round(images * 255).astype("uint8")
    single = model.inpaint(np.repeat(pixels, 2, axis=0), CELLS, num_steps=4, seed=1, batch_size=4)
    assert single.shape == (4, *IMAGE_SHAPE) and model.num_traces == traces
    known = ~pixel_mask(CELLS, 1, IMAGE_SHAPE, CODE_SHAPE)[0, ..., 0]
    np.testing.assert_array_equal(single[::2][:, known], np.float32(pixels / 255)[:, known])
    assert set(np.unique(single[:, ~known])) == {0.25, 0.75}


def test_new_bits_follow_the_known_ones():
    """A denoiser that copies the left column of cells into the right one."""

    def copy_left(codes, time_steps):
        left = codes[:, :, :1]
        wanted = left + 0.0 * codes
        return 60.0 * (2.0 * wanted - 1.0)

    model = tiny_model(
        StubDenoiser(copy_left), target="z0", autoencoder=PixelAutoencoder(), label_dropout=0.0
    )
    images = np.random.default_rng(3).integers(0, 2, (6, *IMAGE_SHAPE)).astype("float32")
    made = model.inpaint(images, [[0, 1], [0, 1]], seed=0)
    np.testing.assert_array_equal(made[:, :, :2], images[:, :, :2])
    # At the end each new bit is the known one to its left (at t = 1 hardly a known bit is noisy;
    # at 8 steps the last state before it still has 1/16 of them wrong).
    wrong = (made[:, :, 2:] > 0.5) != (images[:, :, :2] > 0.5)
    assert wrong.mean() < 0.2
    other = model.inpaint(1.0 - images, [[0, 1], [0, 1]], seed=0)
    assert ((other[:, :, 2:] > 0.5) != (made[:, :, 2:] > 0.5)).mean() > 0.6


def test_an_empty_mask_gives_the_images_back_and_a_full_one_asks_the_model():
    model = tiny_model(StubDenoiser(simple_logits), autoencoder=PixelAutoencoder())
    images = images_of(3)
    settings = {"num_steps": 3, "seed": 0}
    np.testing.assert_array_equal(model.inpaint(images, np.zeros((4, 4)), **settings), images)
    made = model.inpaint(images, np.ones((2, 2)), **settings)
    np.testing.assert_array_equal(made, model.generate(3, **settings))


@once
def test_refuses():
    model = tiny_model(tiny_denoiser(num_classes=3), autoencoder=PixelAutoencoder())
    images = images_of(2)
    good = {"images": images, "mask": PIXELS, "labels": 1}
    for change, message in (
        ({"mask": np.zeros((5, 5))}, "`mask`"),
        ({"images": images[0]}, r"`images`: received shape \(4, 4, 1\)"),
        ({"images": images - 1}, "`images`: received values from -1"),
        ({"images": images[:0]}, "`images`: received an empty batch"),
        ({"labels": None}, "`labels`: received none"),
        ({"labels": [0, 1, 2]}, "`labels`: received shape"),
        ({"num_results": 0}, "`num_results`: received 0"),
        ({"num_steps": 99}, "`num_steps`: received 99"),
        ({"temperature": -1}, "`temperature`: received -1"),
    ):
        with pytest.raises(ValueError, match=message):
            model.inpaint(**{**good, **change})
    with pytest.raises(ValueError, match="`autoencoder`: received inpaint on a model without"):
        tiny_model().inpaint(images, PIXELS)
