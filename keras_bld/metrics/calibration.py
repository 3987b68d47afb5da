"""Calibration: do predicted probabilities mean what they say?"""

from typing import NamedTuple

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import to_float64


class CalibrationCurve(NamedTuple):
    """What `calibration_curve` returns; arrays of length num_bins unless said otherwise."""

    bin_edges: np.ndarray
    """num_bins + 1 edges of the bins, from 0 to 1."""
    counts: np.ndarray
    """Number of predictions in each bin."""
    mean_probability: np.ndarray
    """Mean predicted probability in each bin; NaN in an empty bin."""
    observed_frequency: np.ndarray
    """Share of outcomes that are 1 in each bin; NaN in an empty bin."""
    expected_calibration_error: float
    """Mean of |mean_probability - observed_frequency|, weighted by the counts."""


def calibration_curve(probabilities, outcomes, num_bins=10):
    """Reliability diagram and expected calibration error of predicted probabilities.

    Predictions are sorted into equal bins [0, 1/n), ..., [1 - 1/n, 1]; in a calibrated model the
    share of ones in a bin equals its mean prediction. The expected calibration error is that of
    Naeini et al. (2015).

    Args:
        probabilities: predicted probabilities that an outcome is 1, any shape, in [0, 1]; for
            the denoiser, P(bit flips) at one time step.
        outcomes: what happened, 0 or 1, of the same shape.
        num_bins: number of bins.

    Returns:
        A `CalibrationCurve`.

    Raises:
        ValueError: different shapes, no predictions, probabilities outside [0, 1], or outcomes
            other than 0 and 1.

    Example:
        >>> from keras_bld.metrics import calibration_curve
        >>> curve = calibration_curve([0.1, 0.1, 0.9, 0.9], [0, 0, 1, 0], num_bins=2)
        >>> curve.observed_frequency.tolist(), round(curve.expected_calibration_error, 6)
        ([0.0, 0.5], 0.25)
    """
    probabilities, outcomes = to_float64(probabilities), to_float64(outcomes)
    num_bins = checks.check_integer("num_bins", num_bins, 1)
    if probabilities.shape != outcomes.shape or probabilities.size == 0:
        raise checks.error(
            "outcomes",
            f"shape {outcomes.shape} with probabilities of shape {probabilities.shape}",
            "equal shapes with at least one prediction",
            "pass one outcome for each prediction",
        )
    if not (probabilities.min() >= 0.0 and probabilities.max() <= 1.0):
        raise checks.error(
            "probabilities",
            f"values from {probabilities.min()} to {probabilities.max()}",
            "values in [0, 1]",
            "apply the sigmoid to logits and remove NaN",
        )
    if not np.isin(outcomes, (0.0, 1.0)).all():
        raise checks.error(
            "outcomes", "values other than 0 and 1", "only 0 and 1", "pass bits, not probabilities"
        )
    probabilities, outcomes = probabilities.ravel(), outcomes.ravel()
    bin_edges = np.linspace(0.0, 1.0, num_bins + 1)
    bins = np.searchsorted(bin_edges[1:-1], probabilities, side="right")
    counts = np.bincount(bins, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        mean_probability = np.bincount(bins, probabilities, minlength=num_bins) / counts
        observed_frequency = np.bincount(bins, outcomes, minlength=num_bins) / counts
    gaps = np.nan_to_num(np.abs(mean_probability - observed_frequency))
    return CalibrationCurve(
        bin_edges=bin_edges,
        counts=counts,
        mean_probability=mean_probability,
        observed_frequency=observed_frequency,
        expected_calibration_error=float(np.sum(gaps * counts) / counts.sum()),
    )


def mean_and_error(values):
    """Mean of per-image values and its standard error, e.g. of likelihood bounds in bits/dim.

    Args:
        values: one number per image, shape (num_images,), at least 2.

    Returns:
        (mean, standard_error), floats; standard_error = sample standard deviation / sqrt(n).

    Raises:
        ValueError: wrong rank, fewer than 2 values, NaN or infinity.

    Example:
        >>> from keras_bld.metrics import mean_and_error
        >>> mean_and_error([1.0, 2.0, 3.0, 2.0])
        (2.0, 0.408248290463863)
    """
    values = to_float64(values)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise checks.error(
            "values",
            f"shape {values.shape}, finite: {bool(np.isfinite(values).all())}",
            "at least 2 finite numbers of shape (num_images,)",
            "pass one number per image and remove NaN",
        )
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))
