import io

import pytest
from PIL import Image

from keras_bld.data.image_metadata import without_metadata

pytestmark = pytest.mark.once


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_the_image_stays_and_the_metadata_goes(file_format, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    file = tmp_path / "image"
    image = Image.linear_gradient("L").convert("RGB")
    image.save(file, file_format, exif=exif, icc_profile=b"profile", comment="text")
    with Image.open(file) as before, Image.open(io.BytesIO(without_metadata(file))) as after:
        assert before.getexif()[0x010F] == "maker" and 0x010F not in after.getexif()
        assert after.size == before.size and after.tobytes() == before.tobytes()
        assert file_format == "AVIF" or "icc_profile" not in after.info


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_any_part_of_a_file_is_taken(file_format):
    stream = io.BytesIO()
    Image.new("RGB", (3, 3)).save(stream, file_format, exif=Image.Exif())
    content = stream.getvalue()
    for size in range(len(content)):
        stripped = without_metadata(io.BytesIO(content[:size]))
        assert stripped is None or len(stripped) <= size + 12


def test_other_files_have_none_to_take_away():
    assert without_metadata(io.BytesIO(b"plain text")) is None
    assert without_metadata(io.BytesIO(b"")) is None
