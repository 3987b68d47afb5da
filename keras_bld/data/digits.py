"""scikit-learn's handwritten digits: 1,797 images that need no download."""

import numpy as np

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.data.preprocessing import ImagePreprocessing
from keras_bld.data.sources import ArraySource

DIGITS_PREPROCESSING = ImagePreprocessing(16, num_channels=1, resampling="bicubic")
_LARGEST_VALUE = 16


def digits_source(split="all", preprocessing=DIGITS_PREPROCESSING, held_out_fraction=0.2, seed=0):
    """Return the digits 0 to 9 in gray, white on black, by default 16 x 16.

    The originals are 8 x 8 with values 0 to 16; these become 0 to 255 (rounded), then the
    preprocessing enlarges them (bicubic). The split holds out the same share of each class.

    Args:
        split: "train", "held_out" or "all".
        preprocessing: `ImagePreprocessing`; None keeps 8 x 8 x 1.
        held_out_fraction: share of the images that are held out, in (0, 1).
        seed: int; the same seed holds out the same images.

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: an argument is out of range.

    Example:
        >>> train, held_out = digits_source("train"), digits_source("held_out")  # doctest: +SKIP
        >>> len(train), len(held_out), train[0]["image"].shape  # doctest: +SKIP
        (1437, 360, (16, 16, 1))
    """
    checks.check_choice("split", split, ("train", "held_out", "all"))
    checks.check_number("held_out_fraction", held_out_fraction, 0.01, maximum=0.99)
    seed = checks.check_integer("seed", seed, 0, 2**32 - 1)
    datasets = import_optional("sklearn.datasets", "recipes")
    model_selection = import_optional("sklearn.model_selection", "recipes")
    digits = datasets.load_digits()
    chosen = np.arange(len(digits.target))
    if split != "all":
        train, held_out = model_selection.train_test_split(
            chosen, test_size=held_out_fraction, random_state=seed, stratify=digits.target
        )
        chosen = np.sort(train if split == "train" else held_out)
    images = np.rint(digits.images[chosen] * (255 / _LARGEST_VALUE)).astype("uint8")
    names = [str(name) for name in digits.target_names]
    return ArraySource(images, digits.target[chosen], names, preprocessing)
