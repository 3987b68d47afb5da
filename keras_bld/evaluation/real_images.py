"""Real images: are they fit to be compared with, enough of them and numbered alike?"""

import numpy as np

from keras_bld.base import checks
from keras_bld.data import ImageSource

# Ten splits of the inception score; five neighbours of density and coverage.
FEWEST_FOR_DISTANCES = 10
FEWEST = 2  # of a standard error


def check_enough_images(train, held_out, network):
    """Raise ValueError where real images are too few for a card, before anything is made.

    Args:
        train: source of training images.
        held_out: source of held-out images.
        network: `FeatureNetwork`; None where there are no distances.
    """
    needed = FEWEST if network is None else FEWEST_FOR_DISTANCES
    for argument, source, what in (
        ("held_out", held_out, "held-out"),
        ("train", train, "training"),
    ):
        if len(source) < needed:
            without = "" if network is None else ", or measure no distances (--network none)"
            raise checks.error(
                argument,
                f"{len(source)} {what} images",
                f"at least {needed}, for distances and their errors",
                f"evaluate on data (--data) with {needed} or more {what} images{without}",
            )


def numbered_as(train, held_out):
    """Return `held_out` with its classes numbered as those of `train`, by their names.

    Raises:
        ValueError: a class that has no training images.
    """
    if not train.class_names or tuple(held_out.class_names) == tuple(train.class_names):
        return held_out
    number_of = {name: label for label, name in enumerate(train.class_names)}
    missing = [name for name in held_out.class_names if name not in number_of]
    if missing or not held_out.class_names:
        received = f"the class {missing[0]!r}" if missing else "images without classes"
        raise checks.error(
            "held_out",
            received,
            f"the {train.num_classes} classes of the training images",
            "take both from one data set",
        )
    numbers = np.array([number_of[name] for name in held_out.class_names])
    return _Renumbered(held_out, numbers, train)


class _Renumbered(ImageSource):
    """A source whose class i has the number numbers[i] of another one."""

    def __init__(self, source, numbers, other):
        self._source, self._numbers, self._other = source, numbers, other
        self.class_names = other.class_names
        self.image_shape = source.image_shape
        self.preprocessing = getattr(source, "preprocessing", None)

    @property
    def shown_classes(self):
        """As of the other source."""
        return self._other.shown_classes

    @property
    def num_shown_classes(self):
        """As of the other source."""
        return self._other.num_shown_classes

    def __len__(self):
        return len(self._source)

    def _read(self, index):
        item = self._source[index]
        return item["image"], self._numbers[item["label"]]

    def fingerprint(self):
        """Of the images as they were."""
        return self._source.fingerprint()
