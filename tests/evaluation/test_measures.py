import types

import numpy as np
import pytest

from keras_bld.data import ArraySource
from keras_bld.evaluation import measures
from keras_bld.evaluation.measures import (
    accuracy_scores,
    distribution_scores,
    image_similarity,
    memorisation_scores,
    network_classes,
)
from keras_bld.metrics import (
    FeatureNetwork,
    build_classifier,
    density_coverage,
    inception_score,
    kernel_distance,
    precision_recall,
    psnr,
    ssim,
)

pytestmark = pytest.mark.once


def test_the_similarity_of_each_image():
    images = np.random.default_rng(0).integers(0, 200, (3, 12, 12, 1), "uint8")
    made = images / 255.0 + 0.1 * np.arange(1, 4)[:, None, None, None] / 2
    found = image_similarity(images, made)
    assert found["psnr"] == pytest.approx([-20 * np.log10(0.1 * k / 2) for k in (1, 2, 3)])
    assert psnr(images, made) == pytest.approx(np.mean(found["psnr"]))
    assert ssim(images, made) == pytest.approx(np.mean(found["ssim"]))


def test_images_below_the_window_of_ssim_have_none():
    images = np.zeros((2, 10, 16, 3), "uint8")
    assert set(image_similarity(images, images + 1)) == {"psnr"}


class TenClasses:
    """A network of four features whose classes are sure."""

    kernel = np.zeros((4, 10))
    centers = 3.0 * np.random.default_rng(0).normal(size=(10, 4))

    def class_probabilities(self, features):
        """Of the nearest centre."""
        distances = np.sum((features[:, None] - self.centers) ** 2, axis=2)
        return np.eye(10)[distances.argmin(axis=1)]


def ten_classes(num_images, seed, in_order=True):
    """Features sorted by class, as a folder has them, or with the classes in turn."""
    labels = np.arange(num_images) % 10
    labels = np.sort(labels) if in_order else labels
    noise = np.random.default_rng(seed).normal(size=(num_images, 4))
    return TenClasses.centers[labels] + 0.3 * noise


def test_a_perfect_model_scores_as_its_floor_though_real_images_are_sorted(monkeypatch):
    """With more images than neighbours are searched for: once the first ones were taken."""
    monkeypatch.setattr(measures, "_MOST_FOR_NEIGHBORS", 400)
    made, real, train = ten_classes(2000, 0, False), ten_classes(2000, 1), ten_classes(3000, 2)
    found = distribution_scores(made, real, train, TenClasses(), strata=np.arange(2000) % 10)
    drawn = [values[np.random.default_rng(5).permutation(2000)[:400]] for values in (real, made)]
    precision, recall = precision_recall(*drawn, k=3)
    density, coverage = density_coverage(*drawn, k=5)
    for name, value in (("precision", precision), ("recall", recall), ("coverage", coverage)):
        assert found[name]["value"] == pytest.approx(value, abs=4 * found[name]["error"] + 0.02)
        assert found[name]["value"] > 0.85 and found[name]["num_samples"] == 400
    assert found["density"]["value"] == pytest.approx(density, abs=0.15)
    for name in ("kernel_distance", "kernel_distance_floor"):
        assert abs(found[name]["value"]) < 4 * found[name]["error"]
        assert found[name]["error"] < 3 * kernel_distance(*drawn)[1]
    distance, floor = (found[f"frechet_distance{name}"] for name in ("", "_floor"))
    assert abs(distance["value"] - floor["value"]) < 4 * max(distance["error"], floor["error"])


def test_the_inception_score_of_sorted_images_is_that_of_shuffled_ones():
    network, (made, real) = (
        TenClasses(),
        (ten_classes(1000, seed, in_order=True) for seed in (0, 1)),
    )
    found = distribution_scores(made, real, real, network)
    shuffled = np.random.default_rng(7).permutation(real)
    value, spread = inception_score(network.class_probabilities(shuffled), seed=None)
    entry = found["inception_score_of_real"]
    assert entry["value"] == pytest.approx(value, abs=4 * entry["error"])
    assert entry["error"] == pytest.approx(spread / 3, rel=1.0)
    assert abs(found["inception_score"]["value"] - entry["value"]) < 6 * entry["error"]


def test_both_classifiers_take_equally_many_steps(monkeypatch):
    taken = []

    def score(images, labels, *others, num_steps, batch_size, seed, folder):
        taken.append((len(images), num_steps, batch_size))
        return {"top_1": 0.5, "top_5": 0.5}

    monkeypatch.setattr(measures, "classification_accuracy_score", score)

    def of(num_images):
        return np.zeros((num_images, 8, 8, 1)), np.zeros(num_images, int)

    accuracy_scores(of(344), of(3937), of(10), 43, epochs=5, seeds=[0])
    accuracy_scores(of(24), of(48), of(10), 3, epochs=1, seeds=[0])
    # 62 batches of 64 are a pass over 3,937 images.
    assert taken == [(344, 310, 64), (3937, 310, 64), (24, 2, 24), (48, 2, 24)]


def test_the_classes_of_a_network():
    source = ArraySource(np.zeros((4, 8, 8, 1), "uint8"), [0, 1, 2, 1])
    network = FeatureNetwork.from_classifier(build_classifier((8, 8, 1), 3, 4), "three")
    assert network_classes(network, source).tolist() == [0, 1, 2]
    other = FeatureNetwork.from_classifier(build_classifier((8, 8, 1), 2, 4), "two")
    assert network_classes(other, source) is None is network_classes(None, source)
    # Texts of which two show the same.
    texts = types.SimpleNamespace(
        num_classes=3, num_shown_classes=2, shown_classes=np.array([0, 1, 0])
    )
    assert network_classes(network, texts).tolist() == [0, 1, 2]
    assert network_classes(other, texts).tolist() == [0, 1, 0]


def test_the_card_says_among_how_many_images_copies_were_searched():
    found = {"nearer_than_held_out": 0.25, "expected": 0.01, "expected_error": 0.002}
    found |= {"num_training_images": 500, "held_out_duplicates": 3}
    scores = memorisation_scores({"codes": found}, 100, 800)
    assert scores["held_out_duplicates"]["value"] == 3
    entry = scores["nearer_than_held_out_codes"]
    assert entry["value"] == 0.25 and entry["num_samples"] == 100
    assert entry["note"] == "0.01 ± 0.002 expected; among 500 of 800 training images"
    found |= {"nearer_than_held_out": None, "held_out_duplicates": 0}
    assert memorisation_scores({"codes": found}, 100, 800) == {}


def test_retrieval_finds_what_was_asked_for():
    real = np.random.default_rng(0).standard_normal((40, 3))
    labels = np.arange(40)
    groups = np.where(labels < 10, "new", "old")
    made = real + 0.01
    made[:5] = -real[:5] * 100
    found = measures.retrieval_scores(made, real, labels, groups)
    assert found["retrieved_among_5"]["value"] >= 35 / 40
    assert found["retrieved_among_5_new"]["value"] <= 0.7
    assert found["retrieved_among_5_new"]["num_samples"] == 10
    assert found["retrieved_among_5_old"]["value"] == 1.0
    assert "chance is 0.12" in found["retrieved_among_5_old"]["note"]
    # An image with the same text will do.
    shuffled = measures.retrieval_scores(real[::-1], real, np.minimum(labels, 39 - labels))
    assert shuffled == {"retrieved_among_5": shuffled["retrieved_among_5"]}
    assert shuffled["retrieved_among_5"]["value"] == 1.0
    assert "chance is 0.24" in shuffled["retrieved_among_5"]["note"]
