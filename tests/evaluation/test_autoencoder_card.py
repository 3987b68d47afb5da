import json

import numpy as np
import pytest
from PIL import Image

from keras_bld.data import pack_codes
from keras_bld.evaluation import CardSettings, evaluate_autoencoder, write_card
from keras_bld.evaluation.image_arrays import random_rows
from keras_bld.evaluation.measures import bit_scores
from keras_bld.evaluation.plots import reconstruction_sheet
from keras_bld.evaluation.samples import ImageSet
from keras_bld.metrics import extract_features, frechet_distance, psnr

SETTINGS = CardSettings(num_images=24)


@pytest.fixture(scope="module")
def result(model, train, held_out, network):
    return evaluate_autoencoder(model.autoencoder, train, held_out, network, SETTINGS)


def test_the_numbers_are_those_of_the_functions(result, model, network):
    card, sets = result
    metrics = {name: entry["value"] for name, entry in card["metrics"].items()}
    autoencoder, images = model.autoencoder, sets["real"].images
    reconstructed = autoencoder.reconstruct(images)
    np.testing.assert_allclose(
        metrics["reconstruction_psnr_db"], psnr(images, reconstructed), rtol=1e-5
    )
    features = extract_features(images, network)
    np.testing.assert_allclose(
        metrics["reconstruction_frechet_distance"],
        frechet_distance(extract_features(reconstructed, network), features),
        rtol=1e-3,
    )
    shown = random_rows(24, 20, 0)  # not the first ones, which may be of few classes
    np.testing.assert_array_equal(sets["reconstructed"][0], images[shown])
    np.testing.assert_allclose(sets["reconstructed"][1], reconstructed[shown], atol=0.6 / 255)


class Encoder:
    """Four bits of each image: one is always 0, one always 1, two are half sure of the image."""

    code_shape = (1, 1, 4)

    def encode_probabilities(self, images):
        """The same for every image, as `encode` would see it."""
        return np.tile([0.0, 1.0, 0.5, 0.25], (len(images), 1, 1, 1))


def test_bits_are_unsure_or_dead(monkeypatch):
    codes = np.array([[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]], "uint8")[:, None, None]
    real = ImageSet(np.zeros((3, 2, 2, 1), "uint8"), None, None, pack_codes(codes))
    scores = bit_scores(Encoder(), real, batch_size=2)
    assert scores["dead_bits"]["value"] == 0.5
    entropies = [0.0, 0.0, 1.0, 0.25 * 2 + 0.75 * np.log2(4 / 3)]
    np.testing.assert_allclose(scores["bit_entropy"]["value"], np.mean(entropies), atol=1e-5)
    assert scores["bit_entropy"]["num_samples"] == 3
    monkeypatch.delattr(Encoder, "encode_probabilities")  # as of a quantizer
    assert set(bit_scores(Encoder(), real, batch_size=2)) == {"dead_bits"}


def test_the_card_says_what_it_depends_on(result, train, held_out, network, model):
    card, _ = result
    assert card["real"]["fingerprint"] == held_out.fingerprint()
    assert card["train"]["fingerprint"] == train.fingerprint()
    assert card["real"]["num_used"] == 24 and card["settings"] == {"num_images": 24, "seed": 0}
    assert card["feature_network"]["weights_sha256"] == network.weights_sha256
    assert card["model"]["bits_per_image"] == 8 * 8 * 4
    assert card["model"]["autoencoder_weights"] == model.autoencoder.count_params()


def test_without_a_network_there_are_no_distances(model, train, held_out):
    card, _ = evaluate_autoencoder(model.autoencoder, train, held_out, None, SETTINGS)
    assert set(card["metrics"]) == {
        "reconstruction_psnr_db", "reconstruction_ssim", "bit_entropy", "dead_bits",
    }  # fmt: skip


def test_files(result, tmp_path):
    card, sets = result
    write_card(card, sets, tmp_path)
    assert json.loads((tmp_path / "card.json").read_text())["metrics"] == card["metrics"]
    page = (tmp_path / "card.md").read_text()
    assert "| dead bits |" in page and "| frechet distance floor (domain) |" in page
    assert {path.name for path in tmp_path.iterdir()} == {
        "card.json", "card.md", "reconstructions.png",
    }  # fmt: skip


def test_a_sheet_has_each_image_above_its_reconstruction(tmp_path):
    images = np.stack([np.full((64, 64, 1), value, "uint8") for value in (10, 20, 30, 40, 50)])
    reconstructions = np.full((5, 64, 64, 1), 200 / 255, "float32")
    reconstruction_sheet(images, reconstructions, tmp_path / "sheet.png", columns=2)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    height, width = (size // count for size, count in zip(sheet.shape, (4, 2), strict=True))
    middles = sheet[height // 2 :: height, width // 2 :: width]
    np.testing.assert_array_equal(middles, [[10, 20], [200, 200], [30, 40], [200, 200]])
