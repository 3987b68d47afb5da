import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from keras_bld.metrics import StreamingStatistics, frechet_distance

pytestmark = pytest.mark.once


def by_scipy(a, b):
    covariance_a, covariance_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b).real
    means = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return means + np.trace(covariance_a + covariance_b - 2.0 * root)


def two_sets(seed, count_a=80, count_b=60, num_features=6):
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(num_features, num_features))
    a = generator.normal(size=(count_a, num_features))
    b = generator.normal(0.3, 1.2, size=(count_b, num_features)) @ mixing
    return a, b


@given(st.integers(0, 10_000))
def test_equal_to_scipy(seed):
    a, b = two_sets(seed)
    np.testing.assert_allclose(frechet_distance(a, b), by_scipy(a, b), rtol=1e-6)


def test_by_hand():
    # One feature: variances 2 and 8, means 0 and 3: 9 + (sqrt(2) - sqrt(8))^2 = 9 + 2.
    a = np.array([[-1.0], [1.0]])
    b = np.array([[1.0], [5.0]])
    assert frechet_distance(a, b) == pytest.approx(11.0, rel=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_zero_for_a_set_and_its_shuffled_self(seed, count):
    a, _ = two_sets(seed, count_a=count)
    shuffled = np.random.default_rng(seed).permutation(a)
    assert 0.0 <= frechet_distance(a, a) < 1e-10
    assert 0.0 <= frechet_distance(a, shuffled) < 1e-10


def test_fewer_samples_than_features():
    # A covariance of rank 3 in 50 dimensions; the distance is known from the four numbers that
    # the shift alone changes.
    a = np.random.default_rng(0).normal(size=(4, 50))
    assert frechet_distance(a, a + 0.2) == pytest.approx(50 * 0.2**2, rel=1e-9)


@given(st.integers(0, 10_000), st.integers(1, 90))
def test_statistics_in_any_batch_size_give_the_same(seed, batch_size):
    a, b = two_sets(seed)
    statistics = StreamingStatistics()
    for start in range(0, len(a), batch_size):
        statistics.update(a[start : start + batch_size])
    expected = frechet_distance(a, b)
    np.testing.assert_allclose(frechet_distance(statistics, b), expected, rtol=1e-9)
    np.testing.assert_allclose(frechet_distance(b, statistics), expected, rtol=1e-9)


def test_bad_input_is_refused():
    good = np.zeros((5, 3))
    with pytest.raises(ValueError, match="`b`.*4 features"):
        frechet_distance(good, np.zeros((5, 4)))
    for bad in (np.zeros((1, 3)), np.zeros(3), np.full((5, 3), np.inf)):
        with pytest.raises(ValueError, match="`a`"):
            frechet_distance(bad, good)
