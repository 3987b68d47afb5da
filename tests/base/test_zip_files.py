import io
import zipfile

import pytest

from keras_bld.base import zip_files
from keras_bld.base.zip_files import open_archive

pytestmark = pytest.mark.once


def archive_of(compression=zipfile.ZIP_STORED, num_members=3):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for number in range(num_members):
            archive.writestr(f"{number}", bytes(1000))
    return file


def test_members_are_read():
    with open_archive(archive_of()) as archive:
        assert archive.read("2") == bytes(1000)
    with open_archive(archive_of(zipfile.ZIP_DEFLATED), may_compress=True) as archive:
        assert archive.read("2") == bytes(1000)


def test_compressed_members_are_refused():
    with (
        pytest.raises(ValueError, match="a compressed archive"),
        open_archive(archive_of(zipfile.ZIP_DEFLATED)),
    ):
        pass


def test_members_that_share_their_bytes_are_refused():
    content = archive_of().getvalue()
    # All entries of the list become that of the first member.
    start = content.index(b"PK\1\2")
    end = content.index(b"PK\5\6")
    entry = content[start : start + (end - start) // 3]
    with pytest.raises(ValueError, match="claims more"):  # noqa: SIM117
        with open_archive(
            io.BytesIO(content[: content.index(b"PK\3\4", 4)] + entry * 3 + content[end:])
        ):
            pass


@pytest.mark.parametrize("may_compress", [False, True])
def test_a_list_of_members_without_end_is_refused_unread(may_compress, monkeypatch):
    monkeypatch.setattr(zip_files, "_LARGEST_DIRECTORY", 100_000)
    file = archive_of(num_members=3000)
    with (
        pytest.raises(ValueError, match="a list of members of more than 100,000 bytes"),
        open_archive(file, may_compress),
    ):
        pass


def test_what_is_no_archive():
    with pytest.raises(zipfile.BadZipFile), open_archive(io.BytesIO(bytes(300_000))):
        pass
