import logging
import os
import time

import numpy as np
import pytest
from harness import shared_file
from PIL import Image

from keras_bld.data import ImageFolder, ImagePreprocessing, UnreadableImageError

pytestmark = pytest.mark.once
SMALL = ImagePreprocessing(4)


def write_images(root, paths):
    """One-coloured images; the colour is the place in the list."""
    for number, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), (number, 0, 0)).save(file, "PNG")


def test_class_folders_are_classes_in_alphabetical_order(tmp_path):
    write_images(tmp_path, ["dog/1.png", "cat/b/2.JPG", "cat/a.png", "cat/.hidden.png"])
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    source = ImageFolder(tmp_path, SMALL)
    assert source.paths == ["cat/a.png", "cat/b/2.JPG", "dog/1.png"]
    assert source.class_names == ("cat", "dog") and source.num_classes == 2
    assert [item["label"] for item in source] == [0, 0, 1]
    assert [int(item["image"][0, 0, 0]) for item in source] == [2, 1, 0]


@pytest.mark.parametrize(
    "paths", [["a.png", "b.png"], ["images/a.png", "images/b.png"]], ids=["flat", "one folder"]
)
def test_without_classes_there_are_no_labels(tmp_path, paths):
    write_images(tmp_path, paths)
    source = ImageFolder(tmp_path, SMALL)
    assert source.num_classes is None
    assert [item["label"] for item in source] == [-1, -1]


def test_folders_can_be_told_to_be_no_classes(tmp_path):
    write_images(tmp_path, ["00000/1.png", "01000/2.png", "3.png"])
    assert ImageFolder(tmp_path, SMALL, class_folders=False).num_classes is None
    with pytest.raises(ValueError, match="images beside the class folders, such as `3.png`"):
        ImageFolder(tmp_path, SMALL)
    with pytest.raises(ValueError, match="images beside the class folders"):
        ImageFolder(tmp_path, SMALL, class_folders=True)


@pytest.mark.parametrize("held_out", ["val", "validation", "test"])
def test_split_folders_are_splits(tmp_path, held_out):
    paths = ["train/a/1.png", "train/b/2.png", f"{held_out}/b/3.png", "other/b/4.png"]
    write_images(tmp_path, paths)
    splits = {name: ImageFolder(tmp_path, SMALL, name) for name in ("train", "validation", "all")}
    assert splits["train"].paths == paths[:2]
    assert splits["validation"].paths == [paths[2]]
    assert len(splits["all"]) == 3
    # The same labels in every split, also where a class is missing.
    assert {source.class_names for source in splits.values()} == {("a", "b")}
    assert splits["validation"][0]["label"] == 1


def test_a_share_of_each_class_is_held_out(tmp_path):
    write_images(tmp_path, [f"{name}/{i}.png" for name in "ab" for i in range(20)])
    splits = {
        name: ImageFolder(tmp_path, SMALL, name, validation_fraction=0.1, seed=3)
        for name in ("train", "validation", "all")
    }
    assert np.bincount(splits["validation"].labels).tolist() == [2, 2]
    both = splits["train"].paths + splits["validation"].paths
    assert sorted(both) == splits["all"].paths
    other = ImageFolder(tmp_path, SMALL, "validation", validation_fraction=0.1, seed=4)
    assert other.paths != splits["validation"].paths
    # One file more moves at most one of the held-out ones.
    write_images(tmp_path, ["a/new.png"])
    again = ImageFolder(tmp_path, SMALL, "validation", validation_fraction=0.1, seed=3)
    assert len(set(again.paths) & set(splits["validation"].paths)) >= 3


def test_fingerprint_follows_files_and_preprocessing(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    first = ImageFolder(tmp_path, SMALL).fingerprint()
    assert ImageFolder(tmp_path, SMALL).fingerprint() == first
    assert ImageFolder(tmp_path, ImagePreprocessing(5)).fingerprint() != first
    os.rename(tmp_path / "a" / "1.png", tmp_path / "b" / "1.png")
    moved = ImageFolder(tmp_path, SMALL).fingerprint()
    assert moved != first
    Image.new("RGB", (50, 40)).save(tmp_path / "b" / "2.png")
    assert ImageFolder(tmp_path, SMALL).fingerprint() != moved


def test_a_link_that_leads_back_up_is_followed_once(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    assert len(ImageFolder(tmp_path, SMALL)) == 2


def test_an_unreadable_file_is_raised_with_its_path():
    folder = shared_file("data/corrupt/images")
    source = ImageFolder(folder, SMALL)
    assert len(source) == 18
    with pytest.raises(UnreadableImageError, match=str(folder / "badcrc.png")):
        source[source.paths.index("badcrc.png")]


def test_unreadable_files_are_skipped_counted_and_listed(tmp_path, caplog, monkeypatch):
    folder = shared_file("data/corrupt/images")
    with caplog.at_level(logging.WARNING, "keras_bld"):
        source = ImageFolder(folder, SMALL, on_error="skip", work_dir=tmp_path / "work")
    broken = [
        "badcrc.png",
        "text_renamed.jpg",
        "truncated.jpg",
        "truncated.png",
        "zero_byte.jpg",
    ]
    assert [path for path, _ in source.unreadable] == broken
    assert len(source) == 13 and not set(source.paths) & set(broken)
    assert [item["image"].shape for item in source] == [(4, 4, 3)] * 13
    assert "5 of 18 images cannot be read and are left out" in caplog.text
    lines = (tmp_path / "work" / "unreadable_images.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines[2:]] == broken
    assert "5 of 18" in lines[1] and "image file is truncated" in lines[4]
    # The second start believes the list, and does not read the images.
    monkeypatch.setattr(ImagePreprocessing, "__call__", None)
    again = ImageFolder(folder, SMALL, on_error="skip", work_dir=tmp_path / "work")
    assert again.unreadable == source.unreadable and again.paths == source.paths


def test_a_repaired_file_is_noticed(tmp_path):
    write_images(tmp_path, ["a.png", "b.png"])
    good = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(good[:-20] + b"\0" * 20)
    (tmp_path / "c.png").symlink_to(tmp_path / "nowhere.png")
    work = tmp_path / "work"
    source = ImageFolder(tmp_path, SMALL, on_error="skip", work_dir=work)
    assert [path for path, _ in source.unreadable] == ["a.png", "c.png"]
    time.sleep(0.01)
    (tmp_path / "a.png").write_bytes(good)
    repaired = ImageFolder(tmp_path, SMALL, on_error="skip", work_dir=work)
    assert [path for path, _ in repaired.unreadable] == ["c.png"]


def test_real_photographs():
    source = ImageFolder(shared_file("data/photos64"), ImagePreprocessing(64), "train")
    validation = ImageFolder(shared_file("data/photos64"), ImagePreprocessing(64), "validation")
    assert (len(source), len(validation), source.num_classes) == (3937, 364, 43)
    assert source[0]["image"].shape == (64, 64, 3)
    assert source.class_names[source[0]["label"]] == source.paths[0].split("/")[1]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"split": "val"}, "split"),
        ({"on_error": "ignore"}, "on_error"),
        ({"validation_fraction": 0.0}, "validation_fraction"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"seed": -1}, "seed"),
        ({"root": "nowhere"}, "root"),
        ({"split": "validation", "validation_fraction": 0.01}, "root"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, arguments, name):
    write_images(tmp_path, ["1.png", "2.png"])
    with pytest.raises(ValueError, match=f"Invalid `{name}`"):
        ImageFolder(**{"root": tmp_path, "preprocessing": SMALL, **arguments})


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="without images"):
        ImageFolder(tmp_path, SMALL)
