"""Fashion-MNIST from its four original files (idx format, gzip).

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms" (2017); the idx format is LeCun's, of MNIST.
"""

import gzip
import math
import pathlib
import struct

import numpy as np

from keras_bld.base import checks
from keras_bld.data.sources import ArraySource

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
# The training images take 47 MB.
_LARGEST_BYTES, _MOST_AXES = 64 * 2**20, 32


def holds_fashion_mnist(data_dir):
    """Whether a folder (None for no folder) holds the files of Fashion-MNIST, or some of them."""
    return bool(data_dir) and any(pathlib.Path(data_dir).glob("*-idx3-ubyte*"))


def fashion_mnist_source(data_dir, split, preprocessing=None):
    """Return Fashion-MNIST: 60,000 training and 10,000 test images, 10 classes.

    Args:
        data_dir: folder with the four files `train-images-idx3-ubyte.gz`,
            `train-labels-idx1-ubyte.gz`, `t10k-images-idx3-ubyte.gz`,
            `t10k-labels-idx1-ubyte.gz` (also without `.gz`).
        split: "train" or "test".
        preprocessing: `ImagePreprocessing`, such as `ImagePreprocessing(32, num_channels=1)`;
            None keeps 28 x 28 x 1.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file is damaged, or images and labels do not belong together.

    Example:
        >>> source = fashion_mnist_source("fashion", "train")  # doctest: +SKIP
        >>> len(source), source.num_classes  # doctest: +SKIP
        (60000, 10)
    """
    checks.check_choice("split", split, tuple(FILES))
    images, labels = (read_idx(_find(data_dir, name)) for name in FILES[split])
    if images.ndim != 3 or labels.shape != (len(images),):
        raise checks.error(
            "data_dir",
            f"`{data_dir}` with images of shape {images.shape}, labels of shape {labels.shape}",
            "images (count, height, width) and as many labels",
            "fetch the four files again",
        )
    return ArraySource(images, labels, CLASS_NAMES, preprocessing)


def read_idx(path):
    """Read an idx file of unsigned bytes, compressed with gzip or not.

    Args:
        path: path of the file.

    Returns:
        uint8 array of the shape that the file states.

    Raises:
        ValueError: not an idx file of unsigned bytes, damaged, of the wrong length, or larger than
            Fashion-MNIST.
    """
    with open(path, "rb") as file:
        compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    with (
        checks.as_error(lambda reason: _damaged(path, f"broken gzip data ({reason})")),
        gzip.open(path) if compressed else open(path, "rb") as file,
    ):
        content = file.read(_LARGEST_BYTES + 1)
    if len(content) > _LARGEST_BYTES:
        raise _damaged(path, f"more than {_LARGEST_BYTES:,} bytes of data")
    # Two zero bytes, the type, the number of axes, then each axis as a big-endian 32-bit number.
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise _damaged(path, f"first bytes {content[:4].hex(' ') or '(none)'}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise _damaged(path, "a header that ends early")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) - start != math.prod(shape) or len(shape) > _MOST_AXES:
        raise _damaged(path, f"{len(content) - start} bytes of data for shape {shape}")
    return np.frombuffer(content, "uint8", offset=start).reshape(shape)


def _find(data_dir, name):
    folder = pathlib.Path(data_dir)
    for candidate in (folder / name, folder / name.removesuffix(".gz")):
        if candidate.is_file():
            return candidate
    wanted = ", ".join(file for pair in FILES.values() for file in pair)
    raise FileNotFoundError(
        f"`{folder / name}` is not there. Fix: put the files of Fashion-MNIST ({wanted}; "
        "github.com/zalandoresearch/fashion-mnist, data/fashion) into that folder, or use "
        'tfds_source("fashion_mnist", ...).'
    )


def _damaged(path, received):
    return checks.error(
        "path",
        f"`{path}` with {received}",
        "an idx file of unsigned bytes (00 00 08, number of axes, sizes, data)",
        "fetch the file again",
    )
