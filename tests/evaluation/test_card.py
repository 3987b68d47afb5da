import json
import types
from dataclasses import replace

import numpy as np
import pytest
from small_models import shapes

from keras_bld.data import ArraySource
from keras_bld.diffusion import BinaryLatentDiffusion, Sampling
from keras_bld.evaluation import CardSettings, evaluate_model, write_card
from keras_bld.evaluation import card as card_module
from keras_bld.evaluation.image_arrays import random_rows
from keras_bld.evaluation.samples import ImageSet
from keras_bld.metrics import (
    FeatureNetwork,
    build_classifier,
    classification_accuracy_score,
    extract_features,
    frechet_distance,
    precision_recall,
    psnr,
)
from keras_bld.text import LabelConditions

SETTINGS = CardSettings(
    num_images=24, sampling=Sampling(num_steps=2, guidance_scale=0.5), num_likelihood_images=20,
    num_training_images=40, classifier_epochs=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def result(model, train, held_out, network):
    return evaluate_model(model, train, held_out, network, SETTINGS)


def test_the_numbers_are_those_of_the_functions(result, model, train, held_out, network):
    card, sets = result
    metrics = {name: entry["value"] for name, entry in card["metrics"].items()}
    labels = sets["made"].labels
    assert np.abs(np.bincount(labels) - 8).max() <= 2  # as the training images that were drawn
    made = model.generate(24, labels=labels, num_steps=2, guidance_scale=0.5, seed=0)
    made = np.round(made * 255).astype("uint8")
    assert np.mean(made != sets["made"].images) < 1e-3
    features = extract_features(sets["made"].images, network)
    real = extract_features(sets["real"].images, network)
    np.testing.assert_allclose(metrics["frechet_distance"], frechet_distance(features, real))
    found = precision_recall(real, features, k=3)
    np.testing.assert_allclose([metrics["precision"], metrics["recall"]], found)
    images = sets["real"].images
    reconstructed = model.autoencoder.reconstruct(images)
    np.testing.assert_allclose(
        metrics["reconstruction_psnr_db"], psnr(images, reconstructed), rtol=1e-5
    )
    for name, found in (("real", images), ("reconstructions", reconstructed)):
        classes = network.class_probabilities(extract_features(found, network)).argmax(axis=1)
        right = np.mean(classes == sets["real"].labels)
        assert metrics[f"recognised_of_{name}"] == pytest.approx(right)
    accuracy = classification_accuracy_score(
        sets["made"].images, labels, held_out.images, held_out.labels, 3, epochs=2
    )  # 24 generated, 48 real images: two passes for one
    assert metrics["classification_accuracy_score_top_1"] == pytest.approx(accuracy["top_1"])
    rows = random_rows(24, 20, seed=0)
    codes = model.autoencoder.encode(images[rows])
    bound = model.likelihood(codes, sets["real"].labels[rows], seed=0)
    np.testing.assert_allclose(
        metrics["likelihood_bits_per_dimension"], bound["bits_per_dimension"].mean(), rtol=1e-5
    )
    np.testing.assert_allclose(card["likelihood_profile"], bound["profile"], rtol=1e-4)


def test_the_card_says_what_it_depends_on(result, train, held_out, network):
    card, _ = result
    assert card["real"]["fingerprint"] == held_out.fingerprint()
    assert card["train"]["fingerprint"] == train.fingerprint()
    assert card["real"]["num_used"] == 24 and card["real"]["num_images"] == 36
    assert card["train"]["num_used"] == 40 and card["train"]["num_images"] == 48
    note = card["metrics"]["nearer_than_held_out_features"]["note"]
    assert "among 40 of 48 training images" in note
    assert card["feature_network"]["weights_sha256"] == network.weights_sha256
    sampling = card["settings"]["sampling"]
    assert sampling["num_steps"] == 2 and sampling["guidance_scale"] == 0.5
    assert card["versions"]["keras"]


def test_a_network_of_other_classes_recognises_nothing(model, train, held_out):
    other = FeatureNetwork.from_classifier(build_classifier((16, 16, 1), 5, 4), "other")
    settings = replace(SETTINGS, classifier_epochs=0)
    card, _ = evaluate_model(model, train, held_out, other, settings)
    assert not [name for name in card["metrics"] if name.startswith("recognised")]
    assert "inception_score" in card["metrics"]


def test_files(result, tmp_path):
    card, sets = result
    write_card(card, sets, tmp_path)
    assert json.loads((tmp_path / "card.json").read_text())["metrics"] == card["metrics"]
    page = (tmp_path / "card.md").read_text()
    assert "They are not the FID of published tables" in page
    assert (
        f"| frechet distance (domain) | {card['metrics']['frechet_distance']['value']:.5g}" in page
    )
    for name in ("samples", "likelihood", "calibration", "memorisation", "nearest_by_codes"):
        assert f"![{name}.png]" in page and (tmp_path / f"{name}.png").stat().st_size > 0
    assert not list(tmp_path.glob("*partial*"))


def test_models_that_cannot_be_measured(model, train, held_out, network):
    without = BinaryLatentDiffusion(model.denoiser, model.schedule)
    with pytest.raises(ValueError, match="without an autoencoder"):
        evaluate_model(without, train, held_out, network, SETTINGS)
    with pytest.raises(ValueError, match="num_images"):
        CardSettings(num_images=2)


@pytest.fixture(scope="module")
def without_network(model, held_out):
    """305 training images, more than are made; five of them are held out, too."""
    images, labels = shapes(300, 5)
    images = np.concatenate([images, held_out.images[:5]])
    many = ArraySource(images, np.concatenate([labels, held_out.labels[:5]]))
    settings = replace(SETTINGS, classifier_epochs=0, num_training_images=1000)
    return evaluate_model(model, many, held_out, None, settings)


def test_copies_are_searched_among_all_training_images(without_network):
    card, sets = without_network
    assert card["train"]["num_used"] == card["train"]["num_images"] == 305
    for space in ("pixels", "codes"):
        found = card["memorisation"][space]
        assert found["num_training_images"] == 305
        assert found["held_out_duplicates"] == np.sum(random_rows(36, 24, seed=0) < 5) > 0
        assert sets["neighbors"][space]["distances"].shape == (24,)
    note = card["metrics"]["nearer_than_held_out_codes"]["note"]
    assert "among all 305 training images" in note


def test_without_a_network_there_are_no_distances(without_network, tmp_path):
    card, sets = without_network
    assert card["feature_network"] is None and set(card["memorisation"]) == {"pixels", "codes"}
    names = set(card["metrics"])
    assert {"reconstruction_psnr_db", "likelihood_bits_per_dimension"} < names
    assert not any("distance" in name or name.startswith("recognised") for name in names)
    write_card(card, sets, tmp_path)
    assert "Distances on features" not in (tmp_path / "card.md").read_text()
    assert not (tmp_path / "nearest_by_features.png").exists()


@pytest.mark.once
def test_likelihood_is_measured_on_all_classes_of_a_sorted_source(monkeypatch):
    """The first 30 of these 90 images are of one class."""
    labels, codes = np.arange(3).repeat(30), np.arange(90, dtype="uint8").reshape(90, 1, 1, 1)
    measured = []
    monkeypatch.setattr(
        card_module.measures,
        "likelihood_scores",
        lambda model, codes, asked, *how: measured.append((codes, asked["labels"])) or ({}, []),
    )
    monkeypatch.setattr(card_module, "flip_calibration", lambda *arguments: None)
    real = ImageSet(np.zeros((90, 8, 8, 1)), labels, None, codes)
    denoiser = types.SimpleNamespace(condition_kind="class", num_classes=3, text_width=None)
    model = types.SimpleNamespace(denoiser=denoiser, code_shape=(1, 1, 8))
    settings = replace(SETTINGS, num_likelihood_images=30)
    card_module._likelihood(model, real, LabelConditions(model), settings, 16)
    ((codes, drawn),) = measured
    assert np.bincount(drawn).min() >= 5 and len(drawn) == len(codes) == 30
    np.testing.assert_array_equal(
        np.packbits(codes.astype("uint8"), -1, "little").ravel() // 30, drawn
    )


def test_too_few_held_out_images_are_told_before_anything_is_made(model, train, network):
    few = ArraySource(*shapes(4, 0), ("0", "1", "2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "code_batches", None)
        with pytest.raises(ValueError, match="4 held-out images.*at least 10"):
            evaluate_model(model, train, few, network, SETTINGS)
