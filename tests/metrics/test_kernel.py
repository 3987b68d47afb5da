import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel

from keras_bld.metrics import kernel, kernel_distance

pytestmark = pytest.mark.once


def by_definition(a, b):
    """The U-statistic with scikit-learn's kernel, diagonals taken out one by one."""

    def cubic(x, y):
        return polynomial_kernel(x, y, degree=3, gamma=1.0 / a.shape[1], coef0=1.0)

    def within(x):
        matrix = cubic(x, x)
        np.fill_diagonal(matrix, 0.0)
        return matrix.sum() / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2.0 * cubic(a, b).mean()


def two_sets(seed, count_a=40, count_b=30, num_features=5):
    generator = np.random.default_rng(seed)
    return (
        generator.normal(size=(count_a, num_features)),
        generator.normal(0.4, 1.5, size=(count_b, num_features)),
    )


@given(st.integers(0, 10_000), st.integers(3, 50), st.integers(3, 50))
def test_equal_to_the_definition(seed, count_a, count_b):
    a, b = two_sets(seed, count_a, count_b)
    mean, _ = kernel_distance(a, b)
    np.testing.assert_allclose(mean, by_definition(a, b), rtol=1e-6, atol=1e-9)


def test_by_hand():
    # One feature, linear kernel x y + 1: a = {0, 1, 2}, b = {3, 3, 3}.
    # within a: (1 + 1 + 3) / 3; within b: 10; across: 3 * mean(a) + 1 = 4.
    a, b = np.array([[0.0], [1.0], [2.0]]), np.full((3, 1), 3.0)
    mean, standard_error = kernel_distance(a, b, degree=1)
    assert mean == pytest.approx(5.0 / 3.0 + 10.0 - 8.0, rel=1e-12)
    # Leaving out 0, 1, 2: 3 + 10 - 11, 1 + 10 - 8, 1 + 10 - 5; leaving out of b: no change.
    estimates = np.array([2.0, 3.0, 6.0])
    expected = np.sqrt(2.0 / 3.0 * np.sum((estimates - estimates.mean()) ** 2))
    assert standard_error == pytest.approx(expected, rel=1e-12)


def test_blocks_do_not_change_the_result(monkeypatch):
    a, b = two_sets(0, 45, 33)
    whole = kernel_distance(a, b)
    monkeypatch.setattr(kernel, "_BLOCK", 7)
    np.testing.assert_allclose(kernel_distance(a, b), whole, rtol=1e-10)


@pytest.mark.parametrize("subsets", [None, 20])
def test_unbiased_on_equal_distributions_with_an_honest_error(subsets):
    options = {} if subsets is None else {"num_subsets": subsets, "subset_size": 20}
    generator = np.random.default_rng(0)
    estimates, errors = [], []
    for _ in range(200):
        a, b = generator.normal(size=(2, 40, 4))
        mean, error = kernel_distance(a, b, **options)
        estimates.append(mean)
        errors.append(error)
    spread = np.std(estimates)
    assert abs(np.mean(estimates)) < 3.0 * spread / np.sqrt(200)
    assert min(estimates) < 0.0 < max(estimates)
    # Conservative for equal distributions, by up to a factor of about 2.
    assert spread < np.sqrt(np.mean(np.square(errors))) < 2.5 * spread


@pytest.mark.parametrize("subsets", [None, 30])
def test_standard_error_where_the_distributions_differ(subsets):
    options = {} if subsets is None else {"num_subsets": subsets, "subset_size": 30}
    estimates, errors = [], []
    for seed in range(150):
        mean, error = kernel_distance(*two_sets(seed, 60, 60), **options)
        estimates.append(mean)
        errors.append(error)
    ratio = np.sqrt(np.mean(np.square(errors))) / np.std(estimates)
    assert 0.7 < ratio < 1.4


def test_subsets_are_drawn_from_the_seed():
    a, b = two_sets(0)
    options = {"num_subsets": 10, "subset_size": 12}
    first = kernel_distance(a, b, seed=1, **options)
    assert kernel_distance(a, b, seed=1, **options) == first
    assert kernel_distance(a, b, seed=2, **options) != first
    full_mean, _ = kernel_distance(a, b)
    assert abs(first[0] - full_mean) < 3.0 * first[1]


def test_equal_to_torch_fidelity(torch_fidelity):
    a, b = two_sets(3, 40, 40)
    theirs = torch_fidelity("metric_kid").kernel_mmd(a, b)
    np.testing.assert_allclose(kernel_distance(a, b)[0], theirs, rtol=1e-6)


def test_bad_input_is_refused():
    a, b = two_sets(0)
    with pytest.raises(ValueError, match="`b`"):
        kernel_distance(a, b[:, :3])
    with pytest.raises(ValueError, match="at least 3"):
        kernel_distance(a[:2], b)
    with pytest.raises(ValueError, match="half of the smaller set"):
        kernel_distance(a, b, num_subsets=5, subset_size=16)
    with pytest.raises(ValueError, match="num_subsets"):
        kernel_distance(a, b, num_subsets=1, subset_size=5)
    with pytest.raises(ValueError, match="degree"):
        kernel_distance(a, b, degree=0)
