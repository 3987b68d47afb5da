"""The inception score: confident single images, varied as a set."""

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import check_features


def inception_score(probabilities, splits=10, seed=0):
    """Exponential of the mean KL divergence from each image's classes to the average ones.

    Salimans et al., "Improved techniques for training GANs" (2016). Samples are shuffled before
    they are split: parts of a set that is sorted by class hold few classes each, and would score
    far too low.

    Args:
        probabilities: class probabilities of shape (num_samples, num_classes), rows sum to 1.
            The reference takes the softmax of Inception's logits without the bias.
        splits: number of equal parts, at most num_samples.
        seed: of the shuffle; None splits in the order given, as the reference does.

    Returns:
        (mean, std) over the parts; the score lies between 1 and num_classes. The standard error
        of the mean is std / sqrt(splits - 1).

    Raises:
        ValueError: rows that are not distributions, or more splits than samples.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import inception_score
        >>> mean, std = inception_score(np.eye(10), splits=1)  # sure, and every class once
        >>> round(mean, 6), std
        (10.0, 0.0)
    """
    probabilities = check_features("probabilities", probabilities)
    splits = checks.check_integer("splits", splits, 1, len(probabilities))
    sums = probabilities.sum(axis=1)
    if probabilities.min() < 0.0 or np.abs(sums - 1.0).max() > 1e-3:
        raise checks.error(
            "probabilities",
            f"values from {probabilities.min()}, rows that sum to {sums.min()} .. {sums.max()}",
            "non-negative rows that sum to 1",
            "apply softmax to logits",
        )
    probabilities = probabilities / sums[:, None]  # float32 rows sum to 1 only to 1e-7
    if seed is not None:
        probabilities = np.random.default_rng(seed).permutation(probabilities)
    scores = []
    for part in range(splits):
        start = part * len(probabilities) // splits
        stop = (part + 1) * len(probabilities) // splits
        chunk = probabilities[start:stop]
        divergence = np.sum(_x_log_y(chunk, chunk) - _x_log_y(chunk, chunk.mean(axis=0)), axis=1)
        scores.append(np.exp(divergence.mean()))
    return float(np.mean(scores)), float(np.std(scores))


def _x_log_y(x, y):
    # 0 log 0 = 0
    x, y = np.broadcast_arrays(x, y)
    return np.where(x > 0.0, x * np.log(np.where(x > 0.0, y, 1.0)), 0.0)
