"""The kernel distance between two sets of features (KID when they are Inception features)."""

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import check_features

_BLOCK = 2048  # rows and columns of the kernel matrix held at a time: 32 MiB of float64


def kernel_distance(
    a, b, num_subsets=None, subset_size=1000, degree=3, gamma=None, offset=1.0, seed=0
):
    """Unbiased squared maximum mean discrepancy with a polynomial kernel, and its standard error.

    Binkowski et al., "Demystifying MMD GANs" (2018): k(x, y) = (gamma x.y + offset)^degree, by
    default the cubic kernel (x.y / num_features + 1)^3. The estimator is the full two-sample
    U-statistic (Gretton et al., 2012, Eq. 3),

        sum_{i != j} k(a_i, a_j) / (n (n - 1)) + sum_{i != j} k(b_i, b_j) / (m (m - 1))
            - 2 sum_{i, j} k(a_i, b_j) / (n m),

    which is unbiased for every n and m (so it may be negative) and has the smallest variance of
    the unbiased ones; its standard error is the two-sample jackknife's (leave one out), which is
    conservative where the distributions are equal.

    With `num_subsets` it is instead the published protocol: the mean of that estimator over
    random subsets of `subset_size` samples of each set, which costs less for large sets. The
    standard error is then that of the delete-d jackknife (Shao and Wu, 1989) for the smaller
    set, plus the error of drawing finitely many subsets. (Publications give the standard
    deviation over subsets, which is another number: it hardly falls with more samples.)

    Args:
        a: features of shape (num_samples, num_features), at least 3 samples.
        b: the other set, as `a`; the order of the two does not matter.
        num_subsets: `None` for the full estimator, or the number of random subsets (100 in the
            published protocol), at least 2.
        subset_size: samples in a subset, at least 3 and at most half of the smaller set. Only
            used with `num_subsets`.
        degree: of the polynomial, a whole number.
        gamma: factor of the inner product; `None` means 1 / num_features.
        offset: added to the scaled inner product.
        seed: of the draw of subsets. Only used with `num_subsets`.

    Returns:
        (mean, standard_error), floats in the kernel's unit (published tables often show 1000
        times the mean).

    Raises:
        ValueError: wrong rank, different numbers of features, too few samples, NaN.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import kernel_distance
        >>> a, b = np.random.default_rng(0).normal(size=(2, 200, 8))
        >>> mean, standard_error = kernel_distance(a, b)
        >>> bool(abs(mean) < 3 * standard_error)
        True
    """
    a = check_features("a", a, minimum_count=3)
    b = check_features("b", b, num_features=a.shape[1], minimum_count=3)
    degree = checks.check_integer("degree", degree, 1)
    gamma = 1.0 / a.shape[1] if gamma is None else checks.check_number("gamma", gamma, 0.0, True)

    def kernel(x, y):
        return (gamma * (x @ y.T) + offset) ** degree

    if num_subsets is None:
        sums = _kernel_sums(kernel, a, b)
        return _unbiased_estimate(*sums), _jackknife_error(*sums)
    num_subsets = checks.check_integer("num_subsets", num_subsets, 2)
    smaller = min(len(a), len(b))
    if not 3 <= subset_size <= smaller // 2:
        raise checks.error(
            "subset_size",
            f"{subset_size} with {len(a)} and {len(b)} samples",
            f"between 3 and {smaller // 2}, half of the smaller set",
            "take smaller subsets, or num_subsets=None for the estimate from all samples",
        )
    generator = np.random.default_rng(seed)
    estimates = []
    for _ in range(num_subsets):
        subset_a = a[generator.choice(len(a), subset_size, replace=False)]
        subset_b = b[generator.choice(len(b), subset_size, replace=False)]
        estimates.append(_unbiased_estimate(*_kernel_sums(kernel, subset_a, subset_b)))
    variance = np.var(estimates, ddof=1)
    kept_per_left_out = subset_size / (smaller - subset_size)
    standard_error = np.sqrt(variance * (kept_per_left_out + 1.0 / num_subsets))
    return float(np.mean(estimates)), float(standard_error)


def _kernel_sums(kernel, a, b):
    """Row sums of the kernel matrices (a, a) and (b, b) without diagonals, (a, b) and (b, a)."""
    diagonal_a = np.concatenate([np.diagonal(kernel(x, x)) for x in _blocks(a, 256)])
    diagonal_b = np.concatenate([np.diagonal(kernel(x, x)) for x in _blocks(b, 256)])
    return (
        _row_sums(kernel, a, a) - diagonal_a,
        _row_sums(kernel, b, b) - diagonal_b,
        _row_sums(kernel, a, b),
        _row_sums(kernel, b, a),
    )


def _row_sums(kernel, x, y):
    return np.concatenate(
        [
            sum(kernel(rows, columns).sum(axis=1) for columns in _blocks(y, _BLOCK))
            for rows in _blocks(x, _BLOCK)
        ]
    )


def _blocks(samples, size):
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def _unbiased_estimate(rows_aa, rows_bb, rows_ab, rows_ba):
    n, m = len(rows_aa), len(rows_bb)
    within = rows_aa.sum() / (n * (n - 1)) + rows_bb.sum() / (m * (m - 1))
    return float(within - 2.0 * rows_ab.sum() / (n * m))


def _jackknife_error(rows_aa, rows_bb, rows_ab, rows_ba):
    # Leaving sample i out takes its row and its column from the sums: all n + m estimates follow
    # from the row sums, without another kernel evaluation.
    variance = 0.0
    across = rows_ab.sum()
    for rows_within, rows_across, other in (
        (rows_aa, rows_ab, len(rows_bb)),
        (rows_bb, rows_ba, len(rows_aa)),
    ):
        n = len(rows_within)
        within = (rows_within.sum() - 2.0 * rows_within) / ((n - 1) * (n - 2))
        estimates = within - 2.0 * (across - rows_across) / ((n - 1) * other)
        variance += (n - 1) / n * np.sum((estimates - estimates.mean()) ** 2)
    return float(np.sqrt(variance))
