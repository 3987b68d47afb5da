import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bld.metrics import density_coverage, neighbors, precision_recall

pytestmark = pytest.mark.once


def two_sets(seed, num_real=50, num_generated=40):
    generator = np.random.default_rng(seed)
    real = generator.normal(size=(num_real, 3))
    generated = generator.normal(0.5, 0.7, size=(num_generated, 3))
    return real, generated


@given(st.integers(0, 10_000), st.sampled_from([1, 3, 5]))
def test_equal_to_prdc(seed, k):
    prdc = pytest.importorskip("prdc")
    real, generated = two_sets(seed)
    expected = prdc.compute_prdc(real, generated, nearest_k=k)
    precision, recall = precision_recall(real, generated, k)
    density, coverage = density_coverage(real, generated, k)
    received = dict(precision=precision, recall=recall, density=density, coverage=coverage)
    for name, value in expected.items():
        assert received[name] == pytest.approx(value, rel=1e-6), name


def test_by_hand():
    # Real points 0, 1, 3 with k = 1: radii 1, 1, 2. Generated points 0.5, 10, 11 with radii
    # 9.5, 1, 1. Only 0.5 lies in real balls, in those of 0 and 1; all real points lie in its ball.
    real, generated = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [10.0], [11.0]])
    assert precision_recall(real, generated, k=1) == (1 / 3, 1.0)
    assert density_coverage(real, generated, k=1) == pytest.approx((2 / 3, 2 / 3))


@given(st.integers(0, 10_000))
def test_shuffling_changes_nothing(seed):
    real, generated = two_sets(seed)
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(real), generator.permutation(generated)
    assert precision_recall(*shuffled) == precision_recall(real, generated)
    assert density_coverage(*shuffled) == pytest.approx(density_coverage(real, generated))


def test_blocks_do_not_change_the_result(monkeypatch):
    real, generated = two_sets(0)
    expected = precision_recall(real, generated), density_coverage(real, generated)
    monkeypatch.setattr(neighbors, "_QUERY_BLOCK", 7)
    monkeypatch.setattr(neighbors, "_DATABASE_BLOCK", 9)
    assert (precision_recall(real, generated), density_coverage(real, generated)) == expected


def test_a_set_of_duplicates_is_inside_itself():
    # Radius 0: only the boundary holds the samples, and rounding must not push them out.
    features = np.repeat(np.random.default_rng(0).normal(100.0, 1.0, size=(3, 5)), 4, axis=0)
    assert precision_recall(features, features, k=3) == (1.0, 1.0)


def test_dropped_modes_lower_recall_and_coverage_alone():
    generator = np.random.default_rng(0)
    real = np.concatenate([generator.normal(-9, 1, (100, 2)), generator.normal(9, 1, (100, 2))])
    one_mode = generator.normal(9, 1, (200, 2))
    precision, recall = precision_recall(real, one_mode)
    density, coverage = density_coverage(real, one_mode)
    assert precision > 0.9 and density > 0.9
    assert recall < 0.55 and coverage < 0.55


def test_bad_input_is_refused():
    real, generated = two_sets(0)
    for metric in (precision_recall, density_coverage):
        with pytest.raises(ValueError, match="`real`.*at least 6"):
            metric(real[:5], generated, k=5)
        with pytest.raises(ValueError, match="`generated`"):
            metric(real, generated[:, :2])
        with pytest.raises(ValueError, match="`k`"):
            metric(real, generated, k=0)
    with pytest.raises(ValueError, match="`generated`.*at least 6"):
        precision_recall(real, generated[:5], k=5)
