"""The Frechet distance between two sets of features (FID when they are Inception features)."""

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import check_features
from keras_bld.metrics.statistics import StreamingStatistics


def frechet_distance(a, b):
    """Squared Frechet (Wasserstein-2) distance between Gaussians fitted to two sets of features.

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) with covariances A and B (Heusel et al.,
    "GANs trained by a two time-scale update rule", 2017, Eq. 6). The trace of (A B)^(1/2) is the
    sum of the singular values of A^(1/2) B^(1/2), which needs no matrix root of a
    non-symmetric product and stays exact for fewer samples than features.

    The estimate is biased upwards for few samples: compare only numbers that were computed with
    the same number of samples (50,000 in the literature).

    Args:
        a: features of shape (num_samples, num_features) with at least 2 samples, or
            `StreamingStatistics` of them.
        b: the other set, as `a`; the order of the two does not matter.

    Returns:
        A float >= 0.

    Raises:
        ValueError: wrong rank, different numbers of features, fewer than 2 samples, NaN.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import frechet_distance
        >>> features = np.random.default_rng(0).normal(size=(100, 4))
        >>> round(frechet_distance(features, features + 0.5), 6)  # 4 * 0.5**2
        1.0
    """
    a, b = _statistics("a", a), _statistics("b", b)
    if a.num_features != b.num_features:
        raise checks.error(
            "b",
            f"{b.num_features} features",
            f"{a.num_features} features as in `a`",
            "use one feature network for both sets",
        )
    covariance_a, covariance_b = a.covariance, b.covariance
    singular_values = np.linalg.svd(
        _square_root(covariance_a) @ _square_root(covariance_b), compute_uv=False
    )
    means = np.sum((a.mean - b.mean) ** 2)
    covariances = np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * singular_values.sum()
    return float(max(means + covariances, 0.0))


def _statistics(argument, value):
    if isinstance(value, StreamingStatistics):
        return value
    statistics = StreamingStatistics()
    statistics.update(check_features(argument, value, minimum_count=2))
    return statistics


def _square_root(covariance):
    # Rounding leaves eigenvalues of about -1e-16 where the rank is not full.
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    return (eigenvectors * np.sqrt(np.maximum(eigenvalues, 0.0))) @ eigenvectors.T
