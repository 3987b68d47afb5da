import json
from dataclasses import replace

import numpy as np
import pytest

from keras_bld.diffusion import BinaryLatentDiffusion
from keras_bld.evaluation import CardSettings, evaluate_model, write_card
from keras_bld.metrics import (
    FeatureNetwork,
    build_classifier,
    classification_accuracy_score,
    extract_features,
    frechet_distance,
    precision_recall,
    psnr,
)

SETTINGS = CardSettings(
    num_images=24, num_steps=2, guidance_scale=0.5, num_likelihood_images=20, classifier_epochs=1
)


@pytest.fixture(scope="module")
def result(model, train, held_out, network):
    return evaluate_model(model, train, held_out, network, SETTINGS)


def test_the_numbers_are_those_of_the_functions(result, model, train, held_out, network):
    card, sets = result
    metrics = {name: entry["value"] for name, entry in card["metrics"].items()}
    labels = np.arange(24) % 3
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
    codes = model.autoencoder.encode(images[:20])
    bound = model.likelihood(codes, sets["real"].labels[:20], seed=0)
    np.testing.assert_allclose(
        metrics["likelihood_bits_per_dimension"], bound["bits_per_dimension"].mean(), rtol=1e-5
    )
    np.testing.assert_allclose(card["likelihood_profile"], bound["profile"], rtol=1e-4)


def test_the_card_says_what_it_depends_on(result, train, held_out, network):
    card, _ = result
    assert card["real"]["fingerprint"] == held_out.fingerprint()
    assert card["train"]["fingerprint"] == train.fingerprint()
    assert card["real"]["num_used"] == 24 and card["real"]["num_images"] == 36
    assert card["feature_network"]["weights_sha256"] == network.weights_sha256
    assert card["settings"]["num_steps"] == 2 and card["settings"]["guidance_scale"] == 0.5
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
