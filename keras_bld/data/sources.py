"""Data sources: random access to uint8 images with labels.

Every source has `len(source)`, `source[i] -> {"image": uint8 (height, width, channels), "label":
int}`, `num_classes`, `class_names` and `fingerprint()`. A source without labels has `num_classes`
None, no class names, and label -1.
"""

import concurrent.futures
import hashlib
import os

import numpy as np

from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.data.preprocessing import fingerprint

NO_LABEL = -1


class ImageSource:
    """Base class of data sources; a subclass defines `__len__`, `_read` and `_settings`.

    Attributes:
        class_names: tuple of str, empty without labels.
        image_shape: (height, width, channels) of every image.
        class_groups: for each class the name of a group by which scores are given as well, or None.
    """

    class_names: tuple[str, ...] = ()
    class_groups: tuple[str, ...] | None = None
    image_shape: tuple[int, int, int]

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def num_classes(self):
        """Number of classes, or None for a source without labels."""
        return len(self.class_names) or None

    @property
    def shown_classes(self):
        """For each class the class of picture that it shows, int array (num_classes,).

        They are the same, but where the classes are texts, several of which may show one thing.
        """
        return np.arange(self.num_classes or 0)

    @property
    def num_shown_classes(self):
        """Number of classes of pictures, or None for a source without labels."""
        return self.num_classes

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            # IndexError, and not our usual message, ends Python's `for item in source`.
            raise IndexError(f"index {index} is out of range for {len(self)} images")
        image, label = self._read(int(index) % len(self))
        return {"image": image, "label": int(label)}

    def fingerprint(self):
        """Return a hash that changes with the images, their order, labels or preprocessing."""
        return fingerprint({"source": type(self).__name__, **self._settings()})


class ArraySource(ImageSource):
    """Images that are in memory already.

    Args:
        images: uint8, or floating point in [0, 1]; shape (num_images, height, width) or
            (num_images, height, width, channels).
        labels: integers of shape (num_images,), or None.
        class_names: names of classes 0, 1, ...; by default "0", "1", ... up to the largest label.
        preprocessing: `ImagePreprocessing`, applied once, here; None keeps the images.

    Raises:
        ValueError: wrong shapes, dtypes or ranges, no images, or labels outside the classes.

    Example:
        >>> import numpy as np
        >>> source = ArraySource(np.zeros((5, 8, 8, 3), "uint8"), labels=[0, 1, 1, 0, 2])
        >>> len(source), source.num_classes, source[3]["image"].shape
        (5, 3, (8, 8, 3))
    """

    def __init__(self, images, labels=None, class_names=None, preprocessing=None):
        self.images = _as_uint8(np.asarray(images))
        self.preprocessing = preprocessing
        if preprocessing is not None:
            self.images = np.stack([preprocessing(image) for image in self.images])
        self.image_shape = self.images.shape[1:]
        self.labels = np.full(len(self.images), NO_LABEL, "int32")
        if labels is not None:
            self.labels, self.class_names = _check_labels(labels, len(self.images), class_names)

    def __len__(self):
        return len(self.images)

    def _read(self, index):
        return self.images[index], self.labels[index]

    def _settings(self):
        content = hashlib.sha256(np.ascontiguousarray(self.images))
        content.update(self.labels.tobytes())
        return {
            "content": content.hexdigest(),
            "shape": list(self.images.shape),
            "class_names": list(self.class_names),
        }


class Subset(ImageSource):
    """Some items of another source, in the order given.

    Args:
        source: any data source.
        indices: integers in [0, len(source)), at least one.

    Raises:
        ValueError: no indices, or indices out of range.

    Example:
        >>> import numpy as np
        >>> every_second = Subset(ArraySource(np.zeros((6, 4, 4), "uint8")), range(0, 6, 2))
        >>> len(every_second)
        3
    """

    def __init__(self, source, indices):
        indices = np.asarray(indices)
        valid = indices.ndim == 1 and indices.size and np.issubdtype(indices.dtype, np.integer)
        if not valid or indices.min() < 0 or indices.max() >= len(source):
            raise checks.error(
                "indices",
                f"{indices.size} values, shape {indices.shape}, dtype {indices.dtype}",
                f"a list of one or more integers in [0, {len(source)})",
                "pass indices of the source's items",
            )
        self.source = source
        self.indices = indices.astype("int64")
        self.class_names = source.class_names
        self.class_groups = source.class_groups
        self.image_shape = source.image_shape

    @property
    def shown_classes(self):
        """As of the source."""
        return self.source.shown_classes

    @property
    def num_shown_classes(self):
        """As of the source."""
        return self.source.num_shown_classes

    def __len__(self):
        return len(self.indices)

    def _read(self, index):
        item = self.source[int(self.indices[index])]
        return item["image"], item["label"]

    def _settings(self):
        chosen = hashlib.sha256(self.indices.tobytes()).hexdigest()
        return {"of": self.source.fingerprint(), "indices": chosen}


def random_subset(source, size, seed=0):
    """Return `size` items of a source, drawn without replacement (all, where it has fewer).

    Args:
        source: any data source.
        size: number of items, >= 1.
        seed: int; the same seed draws the same items.

    Example:
        >>> import numpy as np
        >>> len(random_subset(ArraySource(np.zeros((100, 4, 4), "uint8")), size=10))
        10
    """
    size = min(checks.check_integer("size", size, 1), len(source))
    seed = checks.check_integer("seed", seed, 0)
    drawn = np.random.default_rng(seed).permutation(len(source))[:size]
    return Subset(source, np.sort(drawn))


def load_arrays(source: ImageSource) -> tuple[np.ndarray, np.ndarray | None]:
    """Read all of a small source into memory, for `model.fit(images, labels)`.

    Args:
        source: any data source whose images fit into memory.

    Returns:
        images: uint8 of shape (num_images, height, width, channels).
        labels: int32 of shape (num_images,); all -1 for a source without labels.

    Example:
        >>> import numpy as np
        >>> images, labels = load_arrays(ArraySource(np.zeros((5, 8, 8), "uint8")))
        >>> images.shape, labels.tolist()
        ((5, 8, 8, 1), [-1, -1, -1, -1, -1])
    """
    if isinstance(source, ArraySource):
        return source.images, source.labels
    images = np.empty((len(source), *source.image_shape), "uint8")
    labels = np.empty(len(source), "int32")

    def read(index):
        item = source[index]
        images[index], labels[index] = item["image"], item["label"]

    # Threads help because Pillow decodes outside Python's global lock.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(read, range(len(source))):
            pass
    return images, labels


def _as_uint8(images):
    if images.ndim == 3:
        images = images[..., None]
    shape_is_right = images.ndim == 4 and images.shape[-1] in (1, 3) and 0 not in images.shape
    is_floating = np.issubdtype(images.dtype, np.floating)
    if not shape_is_right or not (is_floating or images.dtype == np.uint8):
        raise checks.error(
            "images",
            f"dtype {images.dtype}, shape {images.shape}",
            "uint8 or floating point, shape (num_images, height, width, 1 or 3)",
            "stack images of one size, channels last, in [0, 255] as uint8",
        )
    if not is_floating:
        return images
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # False for NaN too
        raise checks.error(
            "images",
            f"floating point values from {low} to {high}",
            "values in [0, 1]",
            "divide by the largest value, or cast to uint8",
        )
    return to_uint8(images)


def _check_labels(labels, num_images, class_names):
    labels = np.asarray(labels)
    valid = labels.shape == (num_images,) and np.issubdtype(labels.dtype, np.integer)
    if valid and class_names is None:
        class_names = [str(label) for label in range(int(labels.max()) + 1)]
    if not valid or labels.min() < 0 or labels.max() >= len(class_names):
        bound = len(class_names) if class_names else "number of classes"
        raise checks.error(
            "labels",
            f"dtype {labels.dtype}, shape {labels.shape}",
            f"integers in [0, {bound}), shape ({num_images},)",
            "pass one class index for each image",
        )
    return labels.astype("int32"), tuple(class_names)
