import os
import pathlib

import pytest
from PIL import Image

from keras_bld.data import ImagePreprocessing
from keras_bld.data.file_listing import list_images
from keras_bld.data.unreadable import UNREADABLE_LIST, find_unreadable

pytestmark = pytest.mark.once
SMALL = ImagePreprocessing(4)


def find(root):
    return find_unreadable(root, list_images(root), SMALL, root / ".work")


@pytest.fixture
def folder(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "good.png")
    return tmp_path


ODD_NAMES = [
    "#.png",
    "# of 3.png",
    "a\tb.png",
    "a\nb.png",
    "a\r.png",
    "a\x85b\x0c\u2028c.png",
    "caf\udce9.png",
    "a\\\\nb.png",
    "a\\b.png",
    "\\x23.png",
    "\x1b[2J.png",
    "写真　集 é.png",
    " .png",
    "# state of the files: .png",
]


def test_the_list_gives_back_any_name(folder, monkeypatch):
    for name in ODD_NAMES:
        (folder / name).write_text("no image")
    found = find(folder)
    assert sorted(path for path, _ in found) == sorted(ODD_NAMES)
    lines = (folder / ".work" / UNREADABLE_LIST).read_text(encoding="utf-8").split("\n")
    assert len(lines) == 2 + len(ODD_NAMES) + 1
    assert lines[1] == f"# {len(ODD_NAMES)} of {len(ODD_NAMES) + 1} images cannot be read and " + (
        "are left out"
    )
    # The second start believes the list, and does not read the images.
    monkeypatch.setattr(ImagePreprocessing, "__call__", None)
    assert find(folder) == found


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"x\ty\n", None])
def test_a_damaged_list_is_made_again(damage, folder):
    (folder / "bad.png").write_text("no image")
    found = find(folder)
    file = folder / ".work" / UNREADABLE_LIST
    first = file.read_bytes().split(b"\n")[0]
    file.write_bytes(damage if damage is not None else first + b"\nno tab\n")
    assert find(folder) == found and "bad.png\t" in file.read_text()


def test_a_repaired_file_is_noticed_also_behind_a_link(folder):
    store = folder / ".store.png"
    good = (folder / "good.png").read_bytes()
    store.write_bytes(good[:-20] + b"\0" * 20)
    os.utime(store, (1, 1))
    (folder / "a.png").symlink_to(store)
    (folder / "c.png").symlink_to(pathlib.Path("nowhere.png"))
    assert [path for path, _ in find(folder)] == ["a.png", "c.png"]
    store.write_bytes(good)
    assert [path for path, _ in find(folder)] == ["c.png"]


def test_another_limit_of_pixels_reads_again(folder, monkeypatch):
    Image.new("L", (30, 30)).save(folder / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert [path for path, _ in find(folder)] == ["large.png"]
    monkeypatch.undo()
    assert find(folder) == []
