import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from keras_bld.metrics import StreamingStatistics, frechet_distance, frechet_distance_error

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


def means_and_spread(draw, num_draws=150):
    """Mean of the reported errors, and how far the distance really moves from draw to draw."""
    distances, errors = [], []
    for seed in range(num_draws):
        a, b, strata = draw(np.random.default_rng(seed))
        distances.append(frechet_distance(a, b))
        errors.append(frechet_distance_error(a, b, strata))
    return np.mean(errors), np.std(distances, ddof=1)


MIXING = np.random.default_rng(1).normal(size=(16, 16)) / 4.0


@pytest.mark.parametrize(
    ("shift", "counts", "factor"),
    [(0.5, (300, 300), (0.8, 1.25)), (0.5, (1000, 60), (0.8, 1.25)), (0.0, (300, 300), (0.9, 2.0))],
)
def test_the_error_is_the_spread_over_fresh_samples(shift, counts, factor):
    """Also where the real images are few, which a bootstrap of the generated ones leaves out."""

    def draw(generator):
        a, b = (np.maximum(generator.normal(size=(n, 16)) @ MIXING, -0.5) for n in counts)
        return a + shift, b, None

    error, spread = means_and_spread(draw)
    assert factor[0] < error / spread < factor[1]


def test_the_error_of_images_with_a_fixed_number_of_each_class():
    centers = np.random.default_rng(0).normal(0.0, 2.0, size=(8, 4))
    labels = np.arange(240) % 8

    def draw(generator):
        a = centers[labels] * 1.4 + generator.normal(size=(240, 4))
        b = centers[generator.integers(0, 8, 2000)] + generator.normal(size=(2000, 4))
        return a, b, labels

    error, spread = means_and_spread(draw)
    assert 0.8 < error / spread < 1.25
    independent, _ = means_and_spread(lambda generator: (*draw(generator)[:2], None), 10)
    assert independent > 1.4 * error


def test_the_error_by_hand():
    # One feature: the distance is (mean_a - mean_b)^2 + (std_a - std_b)^2, whose derivatives are
    # those of elementary calculus.
    a, b = np.random.default_rng(0).normal(size=(2, 50, 1)) * [[[1.0]], [[3.0]]] + [
        [[1.0]],
        [[0.0]],
    ]
    variance, shift = 0.0, a.mean() - b.mean()
    for x, other, sign in ((a, b, 1), (b, a, -1)):
        ratio = (x.std(ddof=1) - other.std(ddof=1)) / x.std(ddof=1)
        deviations = x - x.mean()
        variance += np.var(2 * sign * shift * deviations + ratio * deviations**2, ddof=1) / 50
    assert frechet_distance_error(a, b) == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_the_error_with_fewer_samples_than_features():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 20, 40))
    assert 0.1 < frechet_distance_error(a, b + 0.5) < 20


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="`strata`"):
        frechet_distance_error(*two_sets(0), strata=[0, 1])
    good = np.zeros((5, 3))
    with pytest.raises(ValueError, match="`b`.*4 features"):
        frechet_distance(good, np.zeros((5, 4)))
    for bad in (np.zeros((1, 3)), np.zeros(3), np.full((5, 3), np.inf)):
        with pytest.raises(ValueError, match="`a`"):
            frechet_distance(bad, good)
