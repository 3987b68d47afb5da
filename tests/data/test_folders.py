import csv
import logging
import os
import threading

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


def test_odd_names(tmp_path):
    names = ["caf\udce9/1.png", "#\t/a\nb.png", "写真　集/#.png", "x\x1b[2J/1.png"]
    write_images(tmp_path, names)
    train = ImageFolder(tmp_path, SMALL)
    assert sorted(train.paths) == sorted(names)
    assert train.class_names == (r"#\t", r"caf\xe9", r"x\x1b[2J", "写真　集")
    assert [train.labels[train.paths.index(name)] for name in names] == [1, 0, 3, 2]
    assert [item["image"].shape for item in train] == [(4, 4, 3)] * 4
    (tmp_path / "top\n.png").touch()
    with pytest.raises(ValueError, match=r"such as `top.n.png`") as caught:
        ImageFolder(tmp_path, SMALL)
    assert str(caught.value).isprintable()
    os.remove(tmp_path / "top\n.png")
    assert ImageFolder(tmp_path, SMALL).fingerprint() == train.fingerprint()


def test_a_class_of_few_images_holds_out_one(tmp_path):
    sizes = {"one": 1, "two": 2, "nine": 9, "ten": 10, "many": 40}
    write_images(tmp_path, [f"{name}/{i}.png" for name, size in sizes.items() for i in range(size)])
    held_out = ImageFolder(tmp_path, SMALL, "validation")
    train = ImageFolder(tmp_path, SMALL, "train")
    assert held_out.class_names == train.class_names == ("many", "nine", "one", "ten", "two")
    assert np.bincount(held_out.labels).tolist() == [2, 1, 0, 1, 1]
    assert np.bincount(train.labels).tolist() == [38, 8, 1, 9, 1]
    # However large the share, something is left to train on.
    most = ImageFolder(tmp_path, SMALL, "train", validation_fraction=0.99)
    assert np.bincount(most.labels).tolist() == [1] * 5


def test_where_nothing_can_be_held_out_the_message_says_how_many_are_needed(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/1.png"])
    assert len(ImageFolder(tmp_path, SMALL, "train")) == 2
    with pytest.raises(ValueError, match="none of them in 'validation'.*at least two in a class"):
        ImageFolder(tmp_path, SMALL, "validation")


def test_a_training_folder_alone_holds_out_a_share_of_its_classes(tmp_path):
    write_images(tmp_path, [f"Train/{name}/{i}.png" for name in "ab" for i in range(3)])
    train, held_out = (ImageFolder(tmp_path, SMALL, split) for split in ("train", "validation"))
    assert train.class_names == ("a", "b") and (len(train), len(held_out)) == (4, 2)


def test_held_out_images_alone_cannot_be_trained_on(tmp_path):
    write_images(tmp_path, ["test/a/1.png", "test/b/1.png"])
    assert ImageFolder(tmp_path, SMALL, "validation").class_names == ("a", "b")
    with pytest.raises(ValueError, match="none of them in 'train'.*a folder `train`"):
        ImageFolder(tmp_path, SMALL, "train")


def test_splits_below_classes_are_refused_unless_all_images_are_asked_for(tmp_path):
    write_images(tmp_path, [f"{c}/{s}/1.png" for c in ("cup", "nut") for s in ("train", "test")])
    assert len(ImageFolder(tmp_path, SMALL)) == 4
    with pytest.raises(ValueError, match="splits below other folders"):
        ImageFolder(tmp_path, SMALL, "train")


def test_a_class_without_training_images_is_warned_of(tmp_path):
    write_images(tmp_path, ["train/cat/1.png", "train/dog/1.png", "val/Cat/1.png", "val/dog/1.png"])
    with pytest.warns(UserWarning, match="such as `Cat`, are in `val` but not in `train`"):
        ImageFolder(tmp_path, SMALL, "train")


def test_what_is_passed_over_is_said_once(tmp_path, caplog):
    write_images(tmp_path, ["train/1.png", "val/2.png", "test/3.png", "test/4.png", "x.png"])
    for name in ("a.heic", "b.heic", "notes.txt"):
        (tmp_path / "train" / name).touch()
    with caplog.at_level(logging.WARNING, "keras_bld"):
        for split in ("train", "validation"):
            assert len(ImageFolder(tmp_path, SMALL, split)) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: files that are passed over: 2 .heic; beside the splits (train/, val/), and "
        "not read: test/ (2 images), x.png (1 images)"
    ]


def test_a_named_pipe_does_not_stop_the_reading(tmp_path):
    write_images(tmp_path, ["1.png"])
    os.mkfifo(tmp_path / "2.png")
    reader = threading.Thread(
        target=lambda: ImageFolder(tmp_path, SMALL, on_error="skip"), daemon=True
    )
    reader.start()
    reader.join(timeout=10)
    assert not reader.is_alive()


def test_a_folder_that_may_not_be_opened(tmp_path, monkeypatch):
    write_images(tmp_path, ["a/1.png", "b/2.png", "locked/3.png"])
    scandir = os.scandir

    def refuse(folder):
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match="`locked/` .Permission denied.*on_error=.skip"):
        ImageFolder(tmp_path, SMALL)
    source = ImageFolder(tmp_path, SMALL, on_error="skip")
    assert source.unreadable == [("locked/", "Permission denied")] and len(source) == 2


def test_an_unreadable_file_is_raised_with_its_path():
    folder = shared_file("data/corrupt/images")
    source = ImageFolder(folder, SMALL)
    assert len(source) == 18
    with pytest.raises(UnreadableImageError, match=str(folder / "badcrc.png")):
        source[source.paths.index("badcrc.png")]


def test_unreadable_files_are_skipped_counted_and_listed(tmp_path, caplog):
    folder = shared_file("data/corrupt/images")
    with caplog.at_level(logging.WARNING, "keras_bld"):
        source = ImageFolder(folder, SMALL, on_error="skip", work_dir=tmp_path / "work")
    with open(folder.parent / "expected.csv", newline="") as table:
        rows = {row["file"]: row["pillow_load"] for row in csv.DictReader(table)}
    broken = sorted(file for file, result in rows.items() if result.startswith("error"))
    assert [path for path, _ in source.unreadable] == broken and len(broken) == 5
    assert sorted(source.paths + broken) == sorted(rows)
    assert [item["image"].shape for item in source] == [(4, 4, 3)] * 13
    assert "5 of 18 images cannot be read and are left out" in caplog.text
    assert (tmp_path / "work" / "unreadable_images.txt").is_file()


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
        ({"root": None}, "data_dir"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, arguments, name):
    write_images(tmp_path, ["1.png", "2.png"])
    with pytest.raises(ValueError, match=f"Invalid `{name}`"):
        ImageFolder(**{"root": tmp_path, "preprocessing": SMALL, **arguments})


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"without images; .*such as .jpg.*.avif.* and \d+ other"):
        ImageFolder(tmp_path, SMALL)
    (tmp_path / "photos.zip").touch()
    with pytest.raises(ValueError, match="without images .there are: 1 .zip"):
        ImageFolder(tmp_path, SMALL)
