import pytest

from keras_bld.data.splits import split_names

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("folder", ("train", "validation")),
        ("fashion_mnist", ("train", "test")),
        ("digits", ("train", "held_out")),
        ("tfds:fashion_mnist", ("train", "test")),
        ("tfds:lsun/church_outdoor", ("train", "validation")),
        ("tfds:lsun/bedroom:3.1.0", ("train", "validation")),
        ("tfds:celeb_a_hq/1024", ("train[:95%]", "train[95%:]")),
        ("tfds:imagenet2012:5.1.0", ("train", "validation")),
    ],
)
def test_named_data_sets(name, expected):
    assert split_names(name) == expected


def prepare(folder, name, splits):
    """What TFDS leaves on disk of a prepared data set, without its images."""
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder(name, data_dir=folder)
    builder.data_path.mkdir(parents=True)
    infos = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[10],
            num_bytes=1,
            filename_template=tfds.core.ShardedFileTemplate(
                data_dir=builder.data_path, dataset_name=builder.name, split=split,
                filetype_suffix="array_record",
            ),
        )
        for split in splits
    ]  # fmt: skip
    builder.info.set_splits(tfds.core.splits.SplitDict(infos))
    builder.info.write_to_directory(builder.data_path)


@pytest.mark.parametrize(
    ("name", "splits", "expected"),
    [
        ("cifar10", ("test", "train"), ("train", "test")),
        ("oxford_flowers102", ("test", "train", "validation"), ("train", "test")),
        ("food101", ("train", "validation"), ("train", "validation")),
        ("lsun/cat", ("train",), ("train[:95%]", "train[95%:]")),
        # Its test images have no labels, which the table knows.
        ("places365_small", ("test", "train", "validation"), ("train", "validation")),
    ],
)
def test_other_data_sets_of_tfds_say_it_themselves(tmp_path, name, splits, expected):
    prepare(tmp_path, name, splits)
    assert split_names(f"tfds:{name}", str(tmp_path)) == expected


def test_a_data_set_without_training_images(tmp_path):
    prepare(tmp_path, "imagenet_v2", ("test",))
    with pytest.raises(ValueError, match="'tfds:imagenet_v2' with the splits test.*train=..."):
        split_names("tfds:imagenet_v2", str(tmp_path))
