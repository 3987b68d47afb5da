"""Mean and covariance of features, gathered batch by batch in float64."""

import math
import pathlib

import numpy as np

from keras_bld.base import checks
from keras_bld.base.files import replacing
from keras_bld.base.zip_files import open_archive
from keras_bld.metrics.arrays import check_features, to_float64

# A covariance hardly compresses; small ones of toys may do so well.
_LARGEST_SMALL, _COMPRESSION = 64 * 2**20, 16


class StreamingStatistics:
    """Mean and covariance of any number of feature vectors in constant memory.

    Batches are merged by the pairwise update of Chan, Golub and LeVeque (1983), which keeps the
    deviations from the running mean and so does not lose digits where the mean is large. The
    result depends on the batch size only through rounding in float64 (about 1e-13 relative).

    Args:
        num_features: length of a feature vector; `None` takes it from the first batch.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import StreamingStatistics
        >>> statistics = StreamingStatistics()
        >>> for batch in np.split(np.arange(12.0).reshape(6, 2), 3):
        ...     statistics.update(batch)
        >>> statistics.count, statistics.mean.tolist(), statistics.covariance[0, 1].item()
        (6, [5.0, 6.0], 14.0)
    """

    def __init__(self, num_features=None):
        self.num_features = num_features
        self.count = 0
        self._mean = None
        self._scatter = None  # sum of (x - mean)(x - mean)^T

    @classmethod
    def from_moments(cls, mean, covariance, count):
        """Return statistics with known moments, e.g. published ones.

        Args:
            mean: shape (num_features,).
            covariance: shape (num_features, num_features), normalised by count - 1.
            count: number of samples they came from, at least 2.

        Raises:
            ValueError: the shapes do not fit together, or `count` is below 2.
        """
        count = checks.check_integer("count", count, 2)
        mean, covariance = to_float64(mean), to_float64(covariance)
        if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
            raise checks.error(
                "covariance",
                f"shape {covariance.shape} with a mean of shape {mean.shape}",
                "shapes (num_features, num_features) and (num_features,)",
                "pass the moments of one and the same set of features",
            )
        statistics = cls(mean.size)
        statistics.count = count
        statistics._mean = mean.copy()
        statistics._scatter = covariance * (count - 1)
        return statistics

    def update(self, features):
        """Add a batch of features of shape (batch, num_features).

        Raises:
            ValueError: wrong rank or number of features, empty batch, NaN or infinity.
        """
        features = check_features("features", features, self.num_features)
        mean = features.mean(axis=0)
        deviations = features - mean
        self._add(len(features), mean, deviations.T @ deviations)

    def merge(self, other):
        """Add the samples that another StreamingStatistics has seen (e.g. on another machine).

        Raises:
            ValueError: the two are of different numbers of features.
        """
        if other.count == 0:
            return
        if self.num_features not in (None, other.num_features):
            raise checks.error(
                "other",
                f"statistics of {other.num_features} features",
                f"statistics of {self.num_features} features",
                "use one feature network for both",
            )
        self._add(other.count, other._mean, other._scatter)

    @property
    def mean(self):
        """float64 mean of shape (num_features,)."""
        self._check_count(1)
        return self._mean.copy()

    @property
    def covariance(self):
        """float64 covariance of shape (num_features, num_features), normalised by count - 1."""
        self._check_count(2)
        return self._scatter / (self.count - 1)

    def save(self, path):
        """Write an .npz file with `mu`, `sigma` (the names of the FID reference) and `count`.

        The file appears whole or not at all: it is written beside `path` and renamed.
        """
        # Opened here: NumPy would add .npz to a name without it.
        with replacing(path) as new, open(new, "wb") as file:
            np.savez(file, mu=self.mean, sigma=self.covariance, count=self.count)

    @classmethod
    def load(cls, path, count=None):
        """Read the moments that `save`, or the FID reference implementations, wrote.

        Args:
            path: .npz file with `mu` and `sigma`.
            count: number of samples, for files that do not say it (the Frechet distance does
                not need it; merging does).

        Raises:
            ValueError: the file is damaged, an array is missing or larger than the file could
                hold, or the moments are not finite.
        """
        with checks.as_error(lambda reason: _damaged(path, reason)):
            arrays = _read_moments(path)
        missing = {"mu", "sigma"} - set(arrays)
        if missing:
            raise _damaged(path, f"no {' and no '.join(sorted(missing))}")
        if count is None:
            counts = arrays.get("count", np.array(2))
            count = float(counts) if counts.size == 1 else 0.0
            if not 2 <= count <= 2**53:
                raise _damaged(path, "a count that is no number of samples")
        mean, covariance = arrays["mu"], arrays["sigma"]
        with np.errstate(over="ignore"):
            sums = covariance.astype("float64") * float(count)
        if not (np.isfinite(mean).all() and np.isfinite(sums).all()):
            raise _damaged(path, "moments that are not finite")
        return cls.from_moments(mean, covariance, int(count))

    def _add(self, count, mean, scatter):
        if self._mean is None:
            self.num_features = mean.size
            self._mean = np.zeros(mean.size)
            self._scatter = np.zeros((mean.size, mean.size))
        total = self.count + count
        step = mean - self._mean
        self._scatter += scatter + np.outer(step, step) * (self.count * count / total)
        self._mean += step * (count / total)
        self.count = total

    def _check_count(self, minimum):
        if self.count < minimum:
            raise checks.error(
                "features",
                f"{self.count} samples",
                f"at least {minimum}",
                "call `update` with more features first",
            )


def _read_moments(path):
    """{name: array} of an .npz file: real numbers, and no larger than such a file can be."""
    size = pathlib.Path(path).stat().st_size
    arrays = {}
    with open(path, "rb") as opened, open_archive(opened, may_compress=True) as archive:
        for name in ("mu", "sigma", "count"):
            if f"{name}.npy" not in archive.namelist():
                continue
            with archive.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                header = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, _, dtype = header(file)
            needed = math.prod(shape) * dtype.itemsize
            if dtype.kind not in "fiu" or needed > max(_LARGEST_SMALL, _COMPRESSION * size):
                raise ValueError(f"`{name}` of shape {shape} and {dtype} in {size:,} bytes")
            with archive.open(f"{name}.npy") as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _damaged(path, received):
    return checks.error(
        "path",
        f"`{path}`: {received}",
        "an .npz file with `mu` and `sigma`",
        "write it with StreamingStatistics.save or with pytorch-fid's --save-stats",
    )
