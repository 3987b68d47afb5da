import numpy as np
import pytest
import scipy.special
import scipy.stats

from keras_bld.metrics import inception_score

pytestmark = pytest.mark.once


def random_logits(num_samples=103, num_classes=7):
    return np.random.default_rng(0).normal(0.0, 2.0, size=(num_samples, num_classes))


def test_equal_to_scipy_relative_entropy():
    probabilities = scipy.special.softmax(random_logits(), axis=1)
    scores = []
    for part in range(10):
        chunk = probabilities[part * 103 // 10 : (part + 1) * 103 // 10]
        marginal = chunk.mean(axis=0, keepdims=True)
        scores.append(np.exp(scipy.stats.entropy(chunk, marginal, axis=1).mean()))
    np.testing.assert_allclose(
        inception_score(probabilities, seed=None), (np.mean(scores), np.std(scores)), rtol=1e-6
    )


def test_by_hand():
    # Two certain classes in shares 1/4 and 3/4: exp(H) = 4^(1/4) (4/3)^(3/4).
    probabilities = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    mean, std = inception_score(probabilities, splits=1)
    assert mean == pytest.approx(4**0.25 * (4 / 3) ** 0.75, rel=1e-12)
    assert std == 0.0
    assert inception_score(np.full((20, 4), 0.25)) == pytest.approx((1.0, 0.0))


def test_the_order_of_the_images_means_nothing():
    """Sorted by class, each part of ten sure classes would hold one class, and score 1."""
    mean, std = inception_score(np.eye(10).repeat(200, axis=0))
    error = std / np.sqrt(9)
    expected = []  # of a part: 200 classes drawn at random
    for seed in range(50):
        counts = np.bincount(np.random.default_rng(seed).integers(0, 10, 200), minlength=10)
        expected.append(np.exp(scipy.stats.entropy(counts)))
    assert mean == pytest.approx(np.mean(expected), abs=4 * error) and error < 0.1
    assert inception_score(np.eye(10).repeat(200, axis=0), seed=None)[0] == pytest.approx(1.0)


def test_equal_to_torch_fidelity(torch_fidelity):
    import torch

    logits = random_logits()
    theirs = torch_fidelity("metric_isc").isc_features_to_metric(
        torch.tensor(logits), splits=10, shuffle=False
    )
    ours = inception_score(scipy.special.softmax(logits, axis=1), splits=10, seed=None)
    np.testing.assert_allclose(
        ours, (theirs["inception_score_mean"], theirs["inception_score_std"]), rtol=1e-6
    )


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="apply softmax"):
        inception_score(random_logits())
    with pytest.raises(ValueError, match="splits"):
        inception_score(np.full((5, 2), 0.5), splits=6)
