"""Fidelity and diversity apart: precision and recall, density and coverage."""

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import check_features
from keras_bld.metrics.neighbors import distance_blocks, kth_neighbor_distances


def precision_recall(real, generated, k=3):
    """Improved precision and recall (Kynkaanniemi et al., 2019, Eq. 1-2).

    Each set's manifold is the union of balls around its samples, each reaching to the sample's
    k-th nearest neighbour in the same set. Precision is the share of generated samples inside
    the real manifold, recall the share of real samples inside the generated one. A ball holds
    its boundary, as in the paper (the `prdc` package leaves it out, which is the same unless two
    distances are exactly equal).

    Args:
        real: features of shape (num_samples, num_features) with more than k samples.
        generated: likewise. Both results depend on the numbers of samples: take equally many.
        k: which neighbour gives the radius.

    Returns:
        (precision, recall), floats in [0, 1].

    Raises:
        ValueError: wrong rank, different numbers of features, too few samples, NaN.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import precision_recall
        >>> real = np.random.default_rng(0).normal(size=(50, 4))
        >>> precision_recall(real, real), precision_recall(real, real + 100.0)
        ((1.0, 1.0), (0.0, 0.0))
    """
    real, generated, k = _check_sets(real, generated, k)
    check_features("generated", generated, minimum_count=k + 1)
    real_radii = kth_neighbor_distances(real, k)
    generated_radii = kth_neighbor_distances(generated, k)
    inside_real = np.zeros(len(generated), dtype=bool)
    inside_generated = np.zeros(len(real), dtype=bool)
    for rows, columns, squared in distance_blocks(real, generated):
        inside_real[columns] |= (squared <= real_radii[rows, None]).any(axis=0)
        inside_generated[rows] |= (squared <= generated_radii[None, columns]).any(axis=1)
    return float(inside_real.mean()), float(inside_generated.mean())


def density_coverage(real, generated, k=5):
    """Density and coverage (Naeem et al., 2020, Eq. 3-4).

    Density is the number of real k-NN balls that a generated sample lies in, over k, on average;
    coverage is the share of real samples whose ball holds a generated sample. Only real balls
    count, so that outliers among the generated samples do not raise the numbers. A ball holds
    its boundary, see `precision_recall`.

    Args:
        real: features of shape (num_samples, num_features) with more than k samples.
        generated: features of shape (num_generated, num_features).
        k: which neighbour gives the radius.

    Returns:
        (density, coverage): a float >= 0 (1 for equal distributions, it may exceed 1) and a
        float in [0, 1].

    Raises:
        ValueError: wrong rank, different numbers of features, too few samples, NaN.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import density_coverage
        >>> real = np.arange(10.0)[:, None]
        >>> density_coverage(real, real[:5], k=1)  # the balls reach to the neighbours
        (2.8, 0.6)
    """
    real, generated, k = _check_sets(real, generated, k)
    radii = kth_neighbor_distances(real, k)
    num_balls = np.zeros(len(generated))
    covered = np.zeros(len(real), dtype=bool)
    for rows, columns, squared in distance_blocks(real, generated):
        inside = squared <= radii[rows, None]
        num_balls[columns] += inside.sum(axis=0)
        covered[rows] |= inside.any(axis=1)
    return float(num_balls.mean() / k), float(covered.mean())


def _check_sets(real, generated, k):
    k = checks.check_integer("k", k, 1)
    real = check_features("real", real, minimum_count=k + 1)
    generated = check_features("generated", generated, num_features=real.shape[1])
    return real, generated, k
