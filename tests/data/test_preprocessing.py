import dataclasses
import io

import numpy as np
import pytest
from harness import shared_file
from PIL import Image
from skimage import transform

from keras_bld.data import ImagePreprocessing, read_image
from keras_bld.data.images import open_image

pytestmark = pytest.mark.once


def test_center_crop_takes_the_middle():
    image = np.arange(4 * 8, dtype="uint8").reshape(4, 8)
    cropped = ImagePreprocessing(4, num_channels=1)(image)
    np.testing.assert_array_equal(cropped[..., 0], image[:, 2:6])


def test_an_image_of_the_right_size_keeps_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), "uint8")
    np.testing.assert_array_equal(ImagePreprocessing(16)(image), image)


def test_without_crop_the_whole_image_is_squeezed():
    image = np.zeros((8, 16, 3), "uint8")
    image[:, 8:] = 255
    squeezed = ImagePreprocessing(8, crop="none")(image)
    assert squeezed[:, 0].max() == 0 and squeezed[:, -1].min() == 255
    assert ImagePreprocessing(8)(image)[:, 0].max() == 0  # columns 4 to 11 of 16


@pytest.mark.parametrize("resampling", ["lanczos", "bicubic"])
def test_resize_is_antialiased(resampling):
    # Stripes two pixels wide vanish at a quarter of the size; without antialiasing some survive.
    stripes = np.tile(np.array([0, 0, 255, 255], "uint8"), (64, 16))
    small = ImagePreprocessing(16, num_channels=1, resampling=resampling)(stripes)
    assert np.abs(small[2:-2, 2:-2].astype(float) - 127.5).max() < 8


def test_resize_agrees_with_scikit_image():
    photo = shared_file("data/photos1024/images/img_000.jpg")
    ours = ImagePreprocessing(128)(photo).astype(float)
    full = read_image(photo).astype(float)
    theirs = transform.resize(full, (128, 128), order=1, anti_aliasing=True, preserve_range=True)
    # Another filter (Gaussian), hence not equal; a shift by one pixel gives more than 6.
    assert np.abs(ours - theirs).mean() < 3.0
    assert np.abs(ours[:, 1:] - theirs[:, :-1]).mean() > 2 * np.abs(ours - theirs).mean()


def _jpeg(width, height, orientation=1, **options):
    """A JPEG's bytes with smooth content that differs at every place."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), "uint8")
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=90, exif=exif, **options)
    return content.getvalue()


@pytest.mark.parametrize(
    ("size", "needed", "decoded"),
    [
        ((512, 384), 12, (64, 48)),  # an eighth
        ((512, 384), 24, (128, 96)),
        ((512, 384), 48, (256, 192)),
        ((512, 384), 49, (512, 384)),  # a half would be less than four times as large
        ((508, 388), 12, (127, 97)),  # no multiples of 8
        ((511, 384), 12, (511, 384)),
        ((512, 384), None, (512, 384)),
    ],
)
def test_a_large_jpeg_is_decoded_smaller(size, needed, decoded):
    assert open_image(_jpeg(*size), needed=needed).size == decoded


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("crop", ["center", "none"])
def test_a_jpeg_decoded_smaller_gives_the_same_image(orientation, crop):
    preprocessing = ImagePreprocessing(12, crop=crop)
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        content = _jpeg(512, 384, orientation, **options)
        whole = preprocessing(read_image(content))
        difference = preprocessing(content).astype(int) - whole
        assert whole.std() > 30 and np.abs(difference).max() <= 2


@pytest.mark.parametrize("name", ["tiny_1x1.png", "wide_1200x24.jpg", "exif_rotated6.jpg"])
def test_extreme_files_become_images_of_the_size(name):
    path = shared_file(f"data/corrupt/images/{name}")
    assert ImagePreprocessing(64)(path).shape == (64, 64, 3)


def test_fingerprint_changes_with_every_setting():
    changes = {
        "image_size": 33,
        "num_channels": 1,
        "crop": "none",
        "resampling": "bicubic",
        "background": (0, 0, 0),
    }
    base = ImagePreprocessing(32)
    assert set(changes) == {field.name for field in dataclasses.fields(base)}
    changed = [dataclasses.replace(base, **{name: value}) for name, value in changes.items()]
    assert len({setting.fingerprint() for setting in [base, *changed]}) == 1 + len(changes)
    assert base.fingerprint() == ImagePreprocessing(32, background=[255, 255, 255]).fingerprint()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"image_size": 0}, "image_size"),
        ({"image_size": 32.0}, "image_size"),
        ({"image_size": 32, "num_channels": 4}, "num_channels"),
        ({"image_size": 32, "crop": "random"}, "crop"),
        ({"image_size": 32, "resampling": "nearest"}, "resampling"),
    ],
)
def test_wrong_settings_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"Invalid `{name}`"):
        ImagePreprocessing(**arguments)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), "float32"),
        np.zeros((8, 8, 2), "uint8"),
        np.zeros((2, 8, 8, 3), "uint8"),
        np.zeros((0, 8, 3), "uint8"),
    ],
)
def test_arrays_that_are_no_image_are_refused(image):
    with pytest.raises(ValueError, match="Invalid `image`"):
        ImagePreprocessing(8)(image)
