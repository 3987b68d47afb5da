import logging
import os

import pytest
from PIL import Image

from keras_bld.data import ImageFolder, ImagePreprocessing
from keras_bld.data.held_out import hold_out, without_held_out

pytestmark = pytest.mark.once


def write_image(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), value).save(path)


def open_split(root, split, **options):
    return ImageFolder(root, ImagePreprocessing(4), split, **options)


def files_of(source):
    return {(source.root / path).resolve() for path in source.paths}


def test_one_image_under_several_paths_is_held_out_under_all_or_none():
    identities = {f"{folder}/{number}": number for folder in "ab" for number in range(20)}
    classes = {path: path[0] for path in sorted(identities)}
    held_out = hold_out(classes, identities, 0.2, seed=0)
    assert len(held_out) == 8  # 4 of 20 images, each twice
    assert {path[1:] for path in held_out if path[0] == "a"} == {
        path[1:] for path in held_out if path[0] == "b"
    }


def test_links_do_not_change_what_is_held_out_of_others():
    classes = {f"a/{number:02}": "a" for number in range(40)}
    alone = hold_out(classes, {}, 0.1, seed=3)
    assert len(alone) == 4
    linked = {**classes, "b/link": "b"}
    assert hold_out(linked, {"a/00": 7, "b/link": 7}, 0.1, seed=3) - {"b/link"} == alone


def test_a_class_of_two_paths_to_one_image_keeps_it():
    assert hold_out({"a/1": "a", "a/2": "a"}, {"a/1": 5, "a/2": 5}, 0.5, seed=0) == set()


@pytest.mark.parametrize("is_hard", [False, True])
def test_no_image_is_in_both_splits_of_a_folder_of_links(is_hard, tmp_path):
    for number in range(30):
        write_image(tmp_path / "cat" / f"{number:02}.png", number)
        link = tmp_path / "favourites" / f"x{number:02}.png"
        link.parent.mkdir(exist_ok=True)
        (os.link if is_hard else os.symlink)(tmp_path / "cat" / f"{number:02}.png", link)
    train, held_out = (
        open_split(tmp_path, split, validation_fraction=0.2) for split in ("train", "validation")
    )
    assert (len(train), len(held_out)) == (48, 12)
    states = [
        {os.stat(source.root / path).st_ino for path in source.paths}
        for source in (train, held_out)
    ]
    assert not states[0] & states[1]


def test_training_images_that_are_links_to_held_out_ones_are_left_out(tmp_path, caplog):
    for number in range(4):
        write_image(tmp_path / "train" / "cat" / f"{number}.png", number)
        write_image(tmp_path / "val" / "cat" / f"{number}.png", number)
        write_image(tmp_path / "test" / "cat" / f"{number}.png", number)
    os.symlink(tmp_path / "val" / "cat" / "0.png", tmp_path / "train" / "cat" / "v.png")
    os.symlink(tmp_path / "test" / "cat" / "0.png", tmp_path / "train" / "cat" / "t.png")
    with caplog.at_level(logging.WARNING, "keras_bld"):
        train = open_split(tmp_path, "train")
    assert train.paths == [f"train/cat/{number}.png" for number in range(4)]
    assert "2 training images are links to held-out ones, in `val` and `test`" in caplog.text
    assert len(open_split(tmp_path, "validation")) == 4


def test_splits_that_are_links_into_one_folder_of_all_images_stay_as_they_are(tmp_path):
    for number in range(6):
        write_image(tmp_path / "all" / f"{number}.png", number)
        link = tmp_path / ("train" if number < 4 else "val") / "cat" / f"{number}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(tmp_path / "all" / f"{number}.png", link)
    train, held_out = (open_split(tmp_path, split) for split in ("train", "validation"))
    assert (len(train), len(held_out)) == (4, 2)
    assert not files_of(train) & files_of(held_out)


def test_where_the_system_does_not_say_nothing_is_left_out(tmp_path):
    assert without_held_out(tmp_path, ["train/a"], ("val",), {}) == ["train/a"]
