import os
import socket

import pytest

from keras_bld.data.file_listing import list_images

pytestmark = pytest.mark.once


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def listed(root):
    return list(list_images(root).files)


@pytest.mark.parametrize(
    "suffix", "jpg JPEG jfif jpe jp2 j2k png apng gif bmp webp avif tif TIFF ppm pgm tga".split()
)
def test_suffixes_that_pillow_reads(suffix, tmp_path):
    touch(tmp_path, f"1.{suffix}")
    assert listed(tmp_path) == [f"1.{suffix}"]


def test_other_files_are_counted_by_suffix(tmp_path):
    touch(tmp_path, "1.png", "a/2.HEIC", "3.heic", "4.cr2", "no_suffix", "odd.a\x1b[2J")
    # Notes and tables beside images, programs for Ghostscript, hidden and system files.
    touch(tmp_path, "README", "LICENSE", "x.txt", "labels.csv", "x.json", ".hidden.heic")
    touch(tmp_path, "__MACOSX/1.png", "@eaDir/1.png", ".git/1.png", "lost+found/x", "paper.eps")
    listing = list_images(tmp_path)
    assert list(listing.files) == ["1.png"]
    assert dict(listing.passed_over) == {
        ".heic": 2,
        ".cr2": 1,
        ".eps": 1,
        "without a suffix": 1,
        r".a\x1b[2j": 1,
    }
    assert listing.describe_passed_over().startswith("2 .heic, ")
    for number in range(20):
        touch(tmp_path, f"x.{number}")
    assert listing.describe_passed_over().count(",") == 4
    assert list_images(tmp_path).describe_passed_over().endswith(", 17 more kinds")


def test_what_killed_writers_left_is_no_image(tmp_path):
    touch(tmp_path, "1.png", "partial.4711.000001.png", "partial.eclipse.png", "partial.png")
    listing = list_images(tmp_path)
    assert list(listing.files) == ["1.png", "partial.eclipse.png", "partial.png"]
    assert listing.passed_over.total() == 1


def test_pipes_sockets_devices_and_folders_are_no_images(tmp_path):
    touch(tmp_path, "1.png", "folder.png/2.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(tmp_path, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/socket.png")  # longer paths are refused
        os.close(folder)
        listing = list_images(tmp_path)
    assert list(listing.files) == ["1.png", "folder.png/2.png"]
    assert listing.describe_passed_over() == "3 named pipe, socket or device"


def test_two_links_to_one_folder_are_two_folders(tmp_path):
    touch(tmp_path, "store/1.png")
    root = tmp_path / "root"
    root.mkdir()
    for name in ("a", "b"):
        (root / name).symlink_to(tmp_path / "store")
    (root / "c.png").symlink_to(tmp_path / "store" / "1.png")
    assert listed(root) == ["a/1.png", "b/1.png", "c.png"]
    # Also beside the folder itself, and one below another.
    (tmp_path / "store" / "more").symlink_to(tmp_path / "elsewhere")
    touch(tmp_path, "elsewhere/2.png")
    assert listed(root) == ["a/1.png", "a/more/2.png", "b/1.png", "b/more/2.png", "c.png"]


def test_loops_end(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "here").symlink_to(".")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "itself.png").symlink_to("itself.png")
    (tmp_path / "nowhere.png").symlink_to("nothing")
    listing = list_images(tmp_path)
    assert list(listing.files) == ["a/1.png", "b/2.png", "itself.png", "nowhere.png"]
    assert listing.files["nowhere.png"] == (0, 0)
    # Folders that link to each other.
    (tmp_path / "a" / "other").symlink_to("../b")
    (tmp_path / "b" / "other").symlink_to("../a")
    files = listed(tmp_path)
    assert "a/other/2.png" in files and "b/other/1.png" in files and len(files) == 6


def test_links_that_multiply_are_refused(tmp_path):
    for name in "abcdefgh":
        touch(tmp_path, f"{name}/1.png")
        for other in set("abcdefgh") - {name}:
            (tmp_path / name / other).symlink_to(tmp_path / other)
    with pytest.raises(ValueError, match="more than 1000 paths to one folder.* Fix: remove"):
        list_images(tmp_path)


def test_folders_that_may_not_be_opened_are_named(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png", "locked/2.png")
    scandir = os.scandir

    def refuse(folder):
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_images(tmp_path)
    assert list(listing.files) == ["a/1.png"]
    assert listing.unreadable_folders == [("locked/", "Permission denied")]
