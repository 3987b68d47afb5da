import warnings

import pytest

from keras_bld.data.split_folders import SplitFolders, check_below, find_split_folders

pytestmark = pytest.mark.once


def find(*folders):
    """What is found where each of these folders holds an image."""
    return find_split_folders("root", [f"{folder}/1.png" for folder in folders])


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        ("train", "val"),
        ("Train", "Valid"),
        ("TRAIN", "TEST"),
        ("training", "validation"),
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("train-set", "dev set"),
        ("trainset", "valset"),
        ("TrainSet", "TestSet"),
        ("train_images", "val_images"),
        ("data_train", "data_eval"),
        ("train2017", "val2017"),
        ("ILSVRC2012_img_train", "ILSVRC2012_img_val"),
        ("seg_train", "seg_test"),
        ("train", "dev"),
        ("train", "evaluation"),
        ("train", "held-out"),
        ("train", "holdout"),
    ],
)
def test_usual_names(train, held_out):
    wanted = SplitFolders(train, held_out)
    assert find(f"{train}/cat", f"{train}/dog", f"{held_out}/cat") == wanted
    assert find(train, held_out) == wanted


@pytest.mark.parametrize(
    ("names", "held_out"),
    [
        (["test", "val"], "val"),
        (["testing", "Validation", "dev"], "Validation"),
        (["test", "dev"], "dev"),
        (["test_set", "eval"], "eval"),
        (["test2017", "val2017", "unlabeled2017"], "val2017"),
        (["test"], "test"),
    ],
)
def test_where_several_could_be_held_out_test_is_left_alone(names, held_out):
    train = "train2017" if "2017" in names[0] else "train"
    untouched = sorted(name for name in names if name != held_out and "unlabeled" not in name)
    assert find(train, *names) == SplitFolders(train, held_out, tuple(untouched))


def test_one_kind_of_split_alone():
    assert find("train/cat", "train/dog") == SplitFolders("train", None)
    assert find("test/cat", "val/cat") == SplitFolders(None, "val", ("test",))


def test_folders_around_the_splits():
    wanted = SplitFolders("photos/v1/train", "photos/v1/val")
    assert find("photos/v1/train/cat", "photos/v1/val/cat") == wanted
    # As Kaggle's Intel scenes are packed.
    paths = [f"seg_{split}/seg_{split}/sea" for split in ("train", "test")]
    assert find(*paths) == SplitFolders("seg_train/seg_train", "seg_test/seg_test")
    assert find("train/train", "val/val") == SplitFolders("train/train", "val/val")


@pytest.mark.parametrize(
    "folders",
    [
        ["cat", "dog"],
        ["photos/cat", "photos/dog"],
        ["bullet train", "freight car"],
        ["train station", "harbour"],
        ["detest", "devil", "strain", "evaluate me not"],
        ["test1", "test2"],
        ["valley", "training wheels"],
        ["0", "1"],
    ],
)
def test_names_of_classes(folders):
    assert find(*folders) is None


def test_images_beside_the_splits():
    paths = ["1.png", "train/2.png", "val/3.png"]
    assert find_split_folders("root", paths) == SplitFolders("train", "val")
    assert find_split_folders("root", ["1.png", "2.png"]) is None


@pytest.mark.parametrize(
    "folders",
    [
        ["Train", "train", "val"],
        ["train", "training_set", "test"],
        ["train", "val", "valid"],
        ["trainA", "trainB", "testA", "testB"],
        ["train2014", "train2017", "val2014", "val2017"],
    ],
)
def test_names_that_do_not_say_which_one(folders):
    with pytest.raises(ValueError, match=r"Invalid `root`.*train.* Fix: "):
        find(*folders)


@pytest.mark.parametrize(
    "folders",
    [
        ["cat", "dog", "test/cat", "test/dog"],
        ["cat", "dog", "valid/cat", "valid/dog"],
        ["train/cat", "train/dog", "unlabeled"],
        ["my_train/cat", "val/cat"],
        ["train2014/cat", "val2017/cat"],
    ],
)
def test_splits_that_would_be_classes_are_an_error(folders):
    with pytest.raises(
        ValueError, match="named like splits, with classes of their own.* Fix: call"
    ):
        find(*folders)


@pytest.mark.parametrize(
    ("folders", "suspects"),
    [
        (["cat", "dog", "test"], "`test`"),
        (["bus", "car", "train"], "`train`"),
        (["valid", "invalid"], "`valid`"),
        (["dogs_train", "cats_test"], "`cats_test`, `dogs_train`"),
    ],
)
def test_classes_that_look_like_splits_are_warned_of(folders, suspects):
    with pytest.warns(UserWarning, match=f"read as ordinary ones, with . others: {suspects}. Fix"):
        assert find(*folders) is None


@pytest.mark.parametrize(
    "folders",
    [
        ["bottle/train", "bottle/test", "cable/train", "cable/test"],
        ["first/train/cat", "first/val/cat", "second/train/cat", "second/val/cat"],
        ["train/first/train", "train/first/val", "val/first"],
    ],
)
def test_splits_below_classes_are_an_error(folders):
    paths = [f"{folder}/1.png" for folder in folders]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = find_split_folders("root", paths)
    with pytest.raises(ValueError, match="splits below other folders.*split='all'"):
        check_below("root", found, paths)


def test_names_of_classes_below_splits_are_free():
    paths = ["train/train/1.png", "train/bus/2.png", "val/train/3.png", "val/bus/4.png"]
    found = find_split_folders("root", paths)
    assert found == SplitFolders("train", "val") and found.inside(paths[0]) == ("train",)
    check_below("root", found, paths)
