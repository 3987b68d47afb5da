"""How far codes lie from those of training images: no decoder, no feature network."""

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics import frechet_distance, precision_recall

_MOST_FOR_DIRECTIONS = 2000


class CodeDistances:
    """Compares sets of codes with those of training, on the principal components of the latter.

    Faster than distances of images, and it sees what a few-step sampler gets wrong, for each bit is
    drawn by itself in a step. Numbers compare only for the same training codes and as many codes.

    Args:
        training_codes: bits of shape (number, h, w, c).
        num_components: principal components, at most one less than codes and bits.

    Raises:
        ValueError: fewer than 10 codes.
    """

    def __init__(self, training_codes, num_components=48):
        flat = _flat(training_codes)
        if len(flat) < 10:
            raise checks.error(
                "training_codes", f"{len(flat)} codes", "10 or more", "give more images"
            )
        self._mean = flat.mean(axis=0)
        some = flat[:_MOST_FOR_DIRECTIONS] - self._mean
        directions = np.linalg.svd(some, full_matrices=False)[2]
        self._directions = directions[: min(num_components, len(flat) - 1, flat.shape[1] - 1)].T
        self._real = self._components(flat)

    def measure(self, codes):
        """Measures of one set of codes.

        Args:
            codes: bits of shape (number, h, w, c), 10 or more.

        Returns:
            Dictionary: `distance`, Frechet's to all training codes; `precision` and `recall` (k =
            3) against as many of them.
        """
        made = self._components(_flat(codes))
        number = min(len(made), len(self._real))
        precision, recall = precision_recall(self._real[:number], made[:number])
        distance = frechet_distance(self._real, made)
        return {"distance": distance, "precision": precision, "recall": recall}

    def _components(self, flat):
        return (flat - self._mean) @ self._directions


def _flat(codes):
    codes = np.asarray(codes, "float32")
    return codes.reshape(len(codes), -1)
