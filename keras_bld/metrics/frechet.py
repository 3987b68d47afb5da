"""The Frechet distance between two sets of features (FID when they are Inception features)."""

from typing import Any

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import check_features
from keras_bld.metrics.statistics import StreamingStatistics


def frechet_distance(a: Any, b: Any) -> float:
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
    a, b = _statistics_pair(a, b)
    covariance_a, covariance_b = a.covariance, b.covariance
    singular_values = np.linalg.svd(
        _square_root(covariance_a) @ _square_root(covariance_b), compute_uv=False
    )
    means = np.sum((a.mean - b.mean) ** 2)
    covariances = np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * singular_values.sum()
    return float(max(means + covariances, 0.0))


def frechet_distance_error(a, b, strata=None):
    """Standard error of `frechet_distance(a, b)`: how far it moves with other samples of the two.

    The infinitesimal jackknife (Efron, 1982): the distance changes with the weight of a sample x
    of `a` by

        psi(x) = 2 (mean_a - mean_b).(x - mean_a) + (x - mean_a).(I - T)(x - mean_a) + constant

    where T = A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2) maps the one Gaussian to the other, and
    the variance is var(psi) / n of both sets. Like the jackknife of `kernel_distance` it is
    conservative where the distributions are equal, by a factor of about 1.5. (A bootstrap is not
    used: repeated samples make covariances that no fresh sample makes.) The bias of the distance
    for few samples is not part of the error.

    Args:
        a: features of shape (num_samples, num_features), at least 3 samples.
        b: the other set, as `a`.
        strata: integers (num_samples,) of `a` where it was drawn so that each group has a fixed
            number of samples, as generated images of given classes are: only the spread within
            the groups counts. None for samples that were drawn independently.

    Returns:
        A float >= 0.

    Raises:
        ValueError: as `frechet_distance`, or strata of another length.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import frechet_distance_error
        >>> a, b = np.random.default_rng(0).normal([[[0.0]], [[2.0]]], size=(2, 1000, 1))
        >>> round(frechet_distance_error(a, b), 2)  # (x - y)^2: 2 * 2 * sqrt(2 / 1000)
        0.18
    """
    statistics_a, statistics_b = _statistics_pair(a, b)
    a = check_features("a", a, minimum_count=3)
    b = check_features("b", b, minimum_count=3)
    root_a = _square_root(statistics_a.covariance)
    root_b = _square_root(statistics_b.covariance)
    # With root_a root_b = U S V^T, (A^(1/2) B A^(1/2))^(1/2) = U S U^T, and V S V^T for B.
    left, singular_values, right = np.linalg.svd(root_a @ root_b)
    shift = statistics_a.mean - statistics_b.mean
    variance = 0.0
    for samples, root, vectors, step, groups in (
        (a, root_a, left, shift, strata),
        (b, root_b, right.T, -shift, None),
    ):
        # Eigenvalues of a root that is not of full rank are the root of rounding errors, not 0.
        inverse = np.linalg.pinv(root, rcond=1e-6, hermitian=True)
        transport = inverse @ (vectors * singular_values) @ vectors.T @ inverse
        deviations = samples - samples.mean(axis=0)
        influence = deviations @ step * 2.0 + np.sum(
            deviations * (deviations - deviations @ transport), axis=1
        )
        variance += _variance_within(influence, groups) / len(samples)
    return float(np.sqrt(variance))


def _variance_within(values, groups):
    """Unbiased variance of the values around the mean of their group; None is one group."""
    groups = np.zeros(len(values), int) if groups is None else np.asarray(groups)
    if groups.shape != values.shape:
        raise checks.error(
            "strata",
            f"shape {groups.shape}",
            f"one group for each sample of `a`, shape {values.shape}",
            "pass the labels of the samples, or None",
        )
    _, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(counts) > len(values) // 2:  # nothing is left to estimate a spread within groups from
        return values.var(ddof=1)
    means = np.bincount(members, values) / counts
    return np.sum((values - means[members]) ** 2) / (len(values) - len(counts))


def _statistics_pair(a, b):
    a, b = _statistics("a", a), _statistics("b", b)
    if a.num_features != b.num_features:
        raise checks.error(
            "b",
            f"{b.num_features} features",
            f"{a.num_features} features as in `a`",
            "use one feature network for both sets",
        )
    return a, b


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
