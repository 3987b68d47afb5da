import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from keras_bld.data import DataSet, find_data_set

pytestmark = pytest.mark.once
SHAPE = (8, 8, 3)


def write_images(folder, paths):
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / path)
    return folder


def test_what_a_path_or_a_name_means(data_folder):
    photos = find_data_set(data_folder)
    assert photos == DataSet("folder", str(data_folder)) == find_data_set(str(data_folder))
    lengths = [len(photos.open(split, (16, 16, 1))) for split in ("train", "held_out", "all")]
    assert lengths == [48, 36, 84]
    digits = find_data_set("digits").open("held_out", (16, 16, 1))
    assert len(digits) == 360 and digits.image_shape == (16, 16, 1)
    assert digits.preprocessing.resampling == "bicubic"
    assert find_data_set("tfds:cifar10", "prepared") == DataSet("tfds:cifar10", "prepared")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: find_data_set("nowhere"), "'nowhere', which is no folder.*tfds:NAME"),
        (lambda: find_data_set("digits", "photos"), "`data_dir`: received 'photos' for 'digits'"),
        (lambda: DataSet("photos"), "`name`: received 'photos'.*find_data_set"),
        (lambda: DataSet("digits", on_error="skip"), "`on_error`: received 'skip' for 'digits'"),
        (lambda: DataSet("tfds:mnist", class_folders=True), "`class_folders`.*a folder"),
        (lambda: DataSet("folder", crop="left"), "`crop`: received 'left'"),
        (
            lambda: DataSet("folder").open("train", SHAPE),
            "no folder; expected the folder of the",
        ),
        (lambda: DataSet("fashion_mnist", "x").open("train", SHAPE), "'x', which is.*four files"),
        (lambda: DataSet("digits").open("train", (16, 8, 1)), "16 x 8 pixels; expected square"),
        (lambda: DataSet("digits").open("tain", (16, 16, 1)), "received 'tain'"),
        (lambda: DataSet.from_record("photos"), "`trained_on`: received 'photos'"),
        (lambda: DataSet.from_record({"train": "train"}), "`trained_on`"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numbered_folders_that_are_no_classes(tmp_path):
    write_images(tmp_path, [f"{number // 40:02d}000/{number:05d}.png" for number in range(120)])
    numbered = DataSet("folder", tmp_path, class_folders=False)
    train, held_out = (numbered.open(split, SHAPE) for split in ("train", "held_out"))
    assert len(held_out) == 6 and sorted(train.paths + held_out.paths) == sorted(
        numbered.open("all", SHAPE).paths
    )
    assert train.num_classes is None
    # Where they are taken for classes, others are held out.
    by_class = dataclasses.replace(numbered, class_folders=True).open("held_out", SHAPE)
    assert set(by_class.paths) != set(held_out.paths)


def test_captions_are_the_classes(tmp_path):
    rows = {"train/fruit/1.png": "a pear", "val/fruit/2.png": "a plum"}
    write_images(tmp_path, rows)
    (tmp_path / "texts.csv").write_text("\n".join(["file,text", *map(",".join, rows.items())]))
    photos = DataSet(
        "folder", tmp_path, class_folders=True, captions="texts.csv", caption_column="text"
    )
    source = photos.open("held_out", SHAPE)
    assert source.class_names == ("a pear", "a plum") and source.labels.tolist() == [1]
    assert photos.without_captions().open("held_out", SHAPE).class_names == ("fruit",)


def test_a_record_opens_the_same_images(tmp_path):
    folder = write_images(tmp_path, [f"{name}/{i}.png" for name in "ab" for i in range(20)])
    photos = DataSet("folder", folder, crop="none")
    sources = [photos.open(split, SHAPE) for split in ("train", "held_out")]
    record = json.loads(json.dumps(photos.record(*sources)))
    assert record == {
        "name": "folder", "place": str(folder), "train": "train", "held_out": "validation",
        "class_folders": True, "crop": "none", "on_error": "raise",
        "num_images": {"train": 38, "held_out": 2},
    }  # fmt: skip
    again = DataSet.from_record(record)
    for split, source in zip(("train", "held_out"), sources, strict=True):
        assert again.open(split, SHAPE).fingerprint() == source.fingerprint()


def test_the_same_data_set_elsewhere(tmp_path):
    photos = DataSet("folder", "gone", class_folders=False, on_error="skip")
    moved = photos.moved(tmp_path)
    assert moved == dataclasses.replace(photos, place=str(tmp_path)) and photos.is_same(moved)
    lsun = DataSet("tfds:lsun/bedroom", train="train[:10%]")
    assert lsun.moved("tfds:lsun/bedroom", "there") == dataclasses.replace(lsun, place="there")
    # Fashion-MNIST has two forms; anything else is another data set.
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"")
    clothes = DataSet("tfds:fashion_mnist", held_out="test")
    assert clothes.moved(tmp_path) == DataSet("fashion_mnist", str(tmp_path), held_out="test")
    assert photos.moved("digits") == DataSet("digits") and not photos.is_same(DataSet("digits"))


def test_tfds():
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=20):
        source = DataSet("tfds:fashion_mnist").open("held_out", (32, 32, 1))
        assert source.num_classes == 10 and source[0]["image"].shape == (32, 32, 1)
        assert source.split == "test"
        other = DataSet("tfds:fashion_mnist", held_out="train[:1%]")
        assert other.open("held_out", (32, 32, 1)).split == "train[:1%]"
        assert np.shape(other.open("test+train", (32, 32, 1))[0]["image"]) == (32, 32, 1)
