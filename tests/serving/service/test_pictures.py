import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from serving.service.sent_pictures import mask_of, picture

from keras_bld.serving.service.pictures import PictureReader, png, sheet

pytestmark = pytest.mark.on_tensorflow


@pytest.fixture
def reader():
    return PictureReader((16, 16, 1), 64 * 64)


def content(text):
    return base64.b64decode(text)


def bomb(side):
    """A PNG whose head claims side x side pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    chunk = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    data = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"\x89PNG\r\n\x1a\n" + chunk + data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_become_the_models_size(reader, kind):
    image = reader.image(content(picture(size=(40, 20), kind=kind, mode="RGB")), "image")
    assert image.shape == (16, 16, 1) and image.dtype == np.float32
    assert 0 <= image.min() < image.max() <= 1


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"hello",
        content(picture())[:60],
        content(picture(kind="GIF")),
        content(picture(kind="BMP")),
        content(picture(kind="TIFF")),
        content(picture(size=(65, 64))),
        bomb(100_000),
        bomb(2**31 - 1),
    ],
)
def test_what_is_no_picture_within_the_limits_is_refused(reader, bad):
    with pytest.raises(ValueError, match="Invalid `image`: .* PNG, JPEG, WEBP picture of at most"):
        reader.image(bad, "image")


def test_masks_go_with_their_image(reader):
    image, light = reader.image_and_mask(content(picture()), content(mask_of(rows=4)))
    assert light.shape == (16, 16) and light[:4].all() and not light[4:].any()
    np.testing.assert_array_equal(image, reader.image(content(picture()), "image"))
    with pytest.raises(ValueError, match="`mask`: received 8 x 16 pixels"):
        reader.image_and_mask(content(picture()), content(mask_of((8, 16))))
    with pytest.raises(ValueError, match="black where the model looks"):
        reader.image_and_mask(content(picture()), content(mask_of(rows=0)))


def test_images_become_png():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), "uint8")
    again = np.asarray(Image.open(io.BytesIO(png(images[0]))))
    np.testing.assert_array_equal(again, images[0])
    assert sheet(images[:1]) == png(images[0])
    assert Image.open(io.BytesIO(sheet(list(images)))).size == (22, 22)
