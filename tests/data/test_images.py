import csv
import io
import os
import struct
import zlib

import numpy as np
import pytest
from harness import shared_file
from PIL import Image

from keras_bld.base.runs import short_errors
from keras_bld.data import UnreadableImageError, read_image
from keras_bld.data.images import image_suffixes, readable_formats

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


JUNK = bytes(range(200))


@pytest.mark.parametrize("metadata", ["exif", "xmp"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_damaged_metadata_leaves_the_image_as_it_is_stored(file_format, metadata):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), "uint8")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    good = exif.tobytes()
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    expected = read_image(save(Image.fromarray(pixels), file_format, **lossless))
    damaged = [good[:15], good[:18], good[:14] + b"\xff" * 40, JUNK]
    for block in [b"<x:xmpmeta tiff:Orientation='9'", JUNK] if metadata == "xmp" else damaged:
        if file_format == "TIFF" and metadata == "exif":
            # Its EXIF is a list of fields that another field points to: nowhere.
            content = save(Image.fromarray(pixels), "TIFF", tiffinfo={0x8769: 2**31})
        elif file_format == "AVIF" and metadata == "exif":
            # Pillow writes no damaged EXIF into AVIF, and makes the orientation part of the image.
            exif.pop(0x0112, None)
            content = bytearray(save(Image.fromarray(pixels), "AVIF", exif=exif))
            at = content.index(exif.tobytes()[6:])
            content[at : at + 12] = block[-12:]
        else:
            content = save(Image.fromarray(pixels), file_format, **lossless, **{metadata: block})
        np.testing.assert_array_equal(read_image(bytes(content)), expected)


def png_chunk(kind, content, checksum=None):
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"tEXt", b"a\0b", checksum=1),
        png_chunk(b"eXIf", JUNK, checksum=1),
        png_chunk(b"iCCP", b""),
        png_chunk(b"pHYs", b""),
        png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24))),
        png_chunk(b"acTL", b""),
    ],
    ids=lambda chunk: chunk[4:8].decode(),
)
def test_damaged_chunks_beside_the_pixels_of_a_png_are_passed_over(chunk):
    content = save(Image.new("L", (3, 2), 7), "PNG", transparency=7)
    header = 8 + 25
    assert read_image(content[:header] + chunk + content[header:]).min() == 255
    end = content.index(b"IEND") - 4
    assert read_image(content[:end] + chunk + content[end:]).min() == 255
    assert read_image(content[:end]).min() == 255


def test_damaged_segments_beside_the_pixels_of_a_jpeg_are_passed_over():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), "uint8")
    content = save(Image.fromarray(pixels, "CMYK"), "JPEG")
    for segment in (
        b"\xff\xe0\0\6JFIF",
        b"\xff\xee\0\7Adobe",
        b"\xff\xe2\0\x0eICC_PROFILE\0",
        b"\xff\xe2\0\x0aMPF\0junk",
    ):
        np.testing.assert_array_equal(
            read_image(content[:2] + segment + content[2:]), read_image(content)
        )


def test_damaged_chunks_beside_the_pixels_of_a_webp_are_passed_over():
    image = Image.new("RGBA", (4, 4), (0, 0, 200, 0))
    content = save(image, "WEBP", lossless=True, exif=JUNK, xmp=JUNK, exact=True)
    at = content.index(b"EXIF") + 4
    content = content[:at] + b"\xff\xff\xff\x7f" + content[at + 4 :]
    assert read_image(content, background=(9, 9, 9)).tolist() == [[[9, 9, 9]] * 4] * 4


def test_all_that_pillow_reads_and_decodes_by_itself():
    assert {".jpg", ".jfif", ".jpe", ".jp2", ".avif", ".webp"} <= set(image_suffixes())
    assert not {".eps", ".ps", ".h5", ".hdf", ".mpg", ".wmf"} & set(image_suffixes())
    assert "EPS" in Image.OPEN and "EPS" not in readable_formats()
    # Not even under another name is a program for Ghostscript run.
    with pytest.raises(UnreadableImageError, match="cannot identify"):
        read_image(save(Image.new("RGB", (2, 2)), "EPS"))


def png_of_size(width, height):
    """A PNG that says so; its pixels are missing."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(13_300, 13_300), (10_000, 10_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
def test_images_that_are_too_large_are_refused_before_they_are_decoded(size):
    with pytest.raises(UnreadableImageError, match="pixels.* Fix: .*PIL.Image.MAX_IMAGE_PIXELS"):
        read_image(png_of_size(*size))


def test_whoever_asks_for_it_reads_larger_images(monkeypatch):
    content = save(Image.new("L", (30, 30)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 800)  # 900 are a warning, an error in tests
    with pytest.raises(UnreadableImageError, match="limit of 800 pixels"):
        read_image(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    assert read_image(content).shape == (30, 30, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(content).shape == (30, 30, 3)


def test_photographs_of_8k_are_read():
    image = read_image(save(Image.new("1", (7680, 4320)), "PNG"), num_channels=1)
    assert image.shape == (4320, 7680, 1)


def test_pipes_devices_and_folders_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "pipe.png", tmp_path / "folder.png", "/dev/zero"):
        with pytest.raises(UnreadableImageError, match="no regular file"):
            read_image(path)


def test_the_message_is_one_printable_line_with_the_option_of_whoever_asks(tmp_path):
    path = tmp_path / "caf\udce9\n\x1b[2J.png"
    path.touch()
    with pytest.raises(UnreadableImageError, match='with on_error="skip".$') as caught:
        read_image(path)
    assert r"caf\xe9\n\x1b[2J.png" in str(caught.value) and str(caught.value).isprintable()
    with short_errors(), pytest.raises(UnreadableImageError, match="with --on-error skip.$"):
        read_image(path)


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
