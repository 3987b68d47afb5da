import csv
import io

import numpy as np
import pytest
from harness import shared_file
from PIL import Image

from keras_bld.data import UnreadableImageError, read_image

pytestmark = pytest.mark.once

# Files of shared/data/corrupt -> upright (height, width); None: cannot be read.
CORRUPT = {
    "truncated.jpg": None,
    "zero_byte.jpg": None,
    "text_renamed.jpg": None,
    "bitflips.jpg": (256, 256),
    "cmyk.jpg": (256, 256),
    "gray.jpg": (256, 256),
    "gray16.png": (128, 128),
    "rgb16.png": (96, 96),
    "rgba.png": (160, 160),
    "palette_alpha.png": (160, 160),
    "gray_alpha.png": (160, 160),
    "exif_rotated6.jpg": (320, 240),
    "progressive.jpg": (256, 256),
    "gif_renamed.jpg": (128, 128),
    "truncated.png": None,
    "badcrc.png": None,
    "tiny_1x1.png": (1, 1),
    "wide_1200x24.jpg": (24, 1200),
}
WITH_TRANSPARENCY = ("rgba.png", "palette_alpha.png", "gray_alpha.png")


def test_every_corrupt_file_has_a_row():
    with open(shared_file("data/corrupt/expected.csv"), newline="") as table:
        rows = {row["file"]: row["pillow_load"] for row in csv.DictReader(table)}
    assert set(rows) == set(CORRUPT)
    for name, pillow in rows.items():
        assert pillow.startswith("error") == (CORRUPT[name] is None)


@pytest.mark.parametrize("name", [name for name, size in CORRUPT.items() if size is None])
def test_a_broken_file_is_named_in_the_error(name):
    path = shared_file(f"data/corrupt/images/{name}")
    with pytest.raises(UnreadableImageError, match=f"Cannot read image `{path}`: .+ Fix: "):
        read_image(path)


@pytest.mark.parametrize("name", [name for name, size in CORRUPT.items() if size is not None])
@pytest.mark.parametrize("num_channels", [1, 3])
def test_an_unusual_file_has_its_shape(name, num_channels):
    image = read_image(shared_file(f"data/corrupt/images/{name}"), num_channels)
    assert image.dtype == np.uint8
    assert image.shape == (*CORRUPT[name], num_channels)


@pytest.mark.parametrize(
    "name",
    [name for name, size in CORRUPT.items() if size and name not in WITH_TRANSPARENCY],
)
def test_pixels_equal_those_of_tensorflow(name):
    # An independent reader, which scales 16 bits and converts CMYK by itself. (It drops the alpha
    # channel, so pictures with transparency have a test of their own.)
    tf = pytest.importorskip("tensorflow")
    path = shared_file(f"data/corrupt/images/{name}")
    content = path.read_bytes()
    if content.startswith(b"\xff\xd8"):
        # Its default for JPEG is a faster, coarser inverse transform.
        expected = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
    else:
        expected = tf.io.decode_image(content, channels=3, expand_animations=False)
    if name == "exif_rotated6.jpg":
        expected = tf.image.rot90(expected, 3)  # it does not look at EXIF
    np.testing.assert_array_equal(read_image(path), expected.numpy())


@pytest.mark.parametrize("name", WITH_TRANSPARENCY)
def test_transparent_corners_show_the_background(name):
    path = shared_file(f"data/corrupt/images/{name}")
    white, blue = read_image(path), read_image(path, background=(0, 0, 255))
    np.testing.assert_array_equal(white[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(blue[0, 0], [0, 0, 255])
    np.testing.assert_array_equal(white[80, 80], blue[80, 80])


def save(image, file_format, **options):
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def test_half_transparent_is_mixed_with_the_background():
    # 100 * 51/255 + 255 * 204/255 = 224
    content = save(Image.new("RGBA", (2, 2), (100, 100, 100, 51)), "PNG")
    assert read_image(content).tolist() == [[[224] * 3] * 2] * 2


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (257, 1), (386, 2), (65535, 255)])
def test_sixteen_bits_are_scaled(value, expected):
    content = save(Image.fromarray(np.full((2, 3), value, "uint16")), "PNG")
    assert read_image(content, num_channels=1).tolist() == [[[expected]] * 3] * 2


def test_gray_is_luma():
    # ITU-R 601: 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    content = save(Image.new("RGB", (1, 1), (200, 100, 50)), "PNG")
    assert read_image(content, num_channels=1).item() == 124


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation):
    # What the camera stores for each orientation, from the upright picture.
    store = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    upright = np.random.default_rng(0).integers(0, 256, (4, 6, 3), "uint8")
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(store[orientation](upright)))
    np.testing.assert_array_equal(read_image(save(stored, "PNG", exif=exif)), upright)


def test_floating_point_pixels_are_refused():
    content = save(Image.new("F", (2, 2), 0.5), "TIFF")
    with pytest.raises(UnreadableImageError, match='mode "F"'):
        read_image(content)


def test_a_missing_file_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.jpg"):
        read_image(tmp_path / "none.jpg")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_channels": 2}, "num_channels"),
        ({"background": (0, 0)}, "background"),
        ({"background": (0, 0, 256)}, "background"),
        ({"background": (0.5, 0, 0)}, "background"),
    ],
)
def test_wrong_arguments_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"Invalid `{name}`"):
        read_image(save(Image.new("L", (1, 1)), "PNG"), **arguments)
