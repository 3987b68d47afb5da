import gzip
import struct

import numpy as np
import pytest
from harness import shared_file

from keras_bld.data import (
    ImagePreprocessing,
    fashion_mnist_source,
    find_data_set,
    holds_fashion_mnist,
    read_idx,
)

pytestmark = pytest.mark.once


def idx(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype("uint8").tobytes()


def write_files(folder, images, labels, compress=gzip.compress, ending=".gz"):
    for name, array in (("t10k-images-idx3", images), ("t10k-labels-idx1", labels)):
        (folder / f"{name}-ubyte{ending}").write_bytes(compress(idx(array)))


def test_the_real_files():
    source = fashion_mnist_source(shared_file("data/fashion_mnist"), "test")
    assert (len(source), source.num_classes, source.image_shape) == (10000, 10, (28, 28, 1))
    assert np.bincount(source.labels).tolist() == [1000] * 10
    # The first test image is an ankle boot; the mean gray of the test set is 73.1 (0.2868 * 255).
    assert source.class_names[source[0]["label"]] == "Ankle boot"
    assert source.images.mean() == pytest.approx(0.2868 * 255, abs=0.02)


@pytest.mark.parametrize(("compress", "ending"), [(gzip.compress, ".gz"), (bytes, "")])
def test_files_are_read_compressed_or_not(tmp_path, compress, ending):
    images = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 256
    write_files(tmp_path, images, np.array([9, 0, 4]), compress, ending)
    source = fashion_mnist_source(tmp_path, "test")
    np.testing.assert_array_equal(source.images[..., 0], images)
    assert source.labels.tolist() == [9, 0, 4]
    large = fashion_mnist_source(tmp_path, "test", ImagePreprocessing(32, num_channels=1))
    assert large.image_shape == (32, 32, 1)


def test_a_folder_with_the_files_is_recognised(tmp_path):
    assert not holds_fashion_mnist(tmp_path) and not holds_fashion_mnist(None)
    write_files(tmp_path, np.zeros((2, 28, 28)), np.arange(2), lambda content: content, "")
    assert holds_fashion_mnist(str(tmp_path))
    source = find_data_set(tmp_path).open("held_out", (32, 32, 1))
    assert len(source) == 2 and source.image_shape == (32, 32, 1)
    assert source.labels.tolist() == [0, 1]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte.gz.* Fix: "):
        fashion_mnist_source(tmp_path, "train")


def test_images_and_labels_must_belong_together(tmp_path):
    write_files(tmp_path, np.zeros((3, 28, 28)), np.zeros(2))
    with pytest.raises(ValueError, match=r"shape \(3, 28, 28\), labels of shape \(2,\)"):
        fashion_mnist_source(tmp_path, "test")


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "first bytes .none."),
        (b"\x89PNG....", "first bytes 89 50 4e 47"),
        (b"\0\0\x0d\1" + b"\0" * 8, "first bytes 00 00 0d 01"),  # float32
        (b"\0\0\x08\3\0\0", "a header that ends early"),
        (idx(np.zeros((2, 2)))[:-1], r"3 bytes of data for shape \(2, 2\)"),
        (idx(np.zeros((2, 2))) + b"\0", r"5 bytes of data for shape \(2, 2\)"),
        (gzip.compress(idx(np.zeros((50, 50))))[:-9], "broken gzip data"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, received):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=received):
        read_idx(path)


def test_a_small_file_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = struct.pack(">BBBB3I", 0, 0, 8, 3, 10**6, 28, 28)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header)
        for _ in range(70):
            file.write(bytes(2**20))
    with pytest.raises(ValueError, match="Invalid `path`.*more than 67,108,864 bytes.*Fix: "):
        read_idx(path)
