import numpy as np
import pytest
import sklearn.calibration

from keras_bld.metrics import calibration_curve, mean_and_error

pytestmark = pytest.mark.once


def test_equal_to_scikit_learn():
    generator = np.random.default_rng(0)
    probabilities = generator.uniform(size=500) ** 2
    outcomes = generator.uniform(size=500) < probabilities**1.5
    curve = calibration_curve(probabilities.reshape(5, 100), outcomes.reshape(5, 100), num_bins=8)
    observed, mean = sklearn.calibration.calibration_curve(outcomes, probabilities, n_bins=8)
    np.testing.assert_allclose(curve.observed_frequency, observed, rtol=1e-12)
    np.testing.assert_allclose(curve.mean_probability, mean, rtol=1e-12)


def test_by_hand_with_an_empty_bin_and_the_last_edge():
    curve = calibration_curve([0.0, 0.2, 0.5, 1.0], [0, 1, 1, 1], num_bins=4)
    np.testing.assert_array_equal(curve.bin_edges, [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(curve.counts, [2, 0, 1, 1])
    np.testing.assert_allclose(curve.mean_probability, [0.1, np.nan, 0.5, 1.0])
    np.testing.assert_allclose(curve.observed_frequency, [0.5, np.nan, 1.0, 1.0])
    # (2 * 0.4 + 1 * 0.5 + 1 * 0) / 4
    assert curve.expected_calibration_error == pytest.approx(0.325, rel=1e-12)


def test_drawing_from_the_probabilities_is_calibrated():
    generator = np.random.default_rng(0)
    probabilities = generator.uniform(size=20_000)
    outcomes = generator.uniform(size=20_000) < probabilities
    assert calibration_curve(probabilities, outcomes).expected_calibration_error < 0.02
    assert calibration_curve(probabilities**3, outcomes).expected_calibration_error > 0.2


def test_mean_and_error():
    values = [1.0, 2.0, 4.0, 5.0]
    mean, error = mean_and_error(values)
    assert mean == 3.0
    assert error == pytest.approx(np.sqrt(10.0 / 3.0) / 2.0, rel=1e-12)
    for bad in ([1.0], [[1.0, 2.0]], [1.0, np.nan]):
        with pytest.raises(ValueError, match="values"):
            mean_and_error(bad)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="outcomes"):
        calibration_curve([0.1, 0.2], [1])
    with pytest.raises(ValueError, match="outcomes"):
        calibration_curve([0.1], [0.5])
    for bad in (1.1, np.nan):
        with pytest.raises(ValueError, match="probabilities"):
            calibration_curve([bad], [1])
