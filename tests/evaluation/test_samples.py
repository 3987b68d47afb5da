import types

import numpy as np
import pytest

from keras_bld.data import unpack_codes
from keras_bld.evaluation.samples import (
    batch_size_for,
    real_features,
    real_set,
    score_reconstructions,
    score_samples,
)

SAMPLER = {"num_steps": 2, "temperature": 1.0, "guidance_scale": 0.5, "seed": 3}


def test_samples_are_those_of_generate_though_never_all_codes_are_in_memory(
    model, train, held_out, network, monkeypatch
):
    num_images = batch_size_for(model.autoencoder.image_shape) + 6  # two batches
    real, known = (real_features(source, network, 30, seed=0) for source in (held_out, train))
    labels = np.arange(num_images) % 3
    codes = model.generate_codes(num_images, labels=labels, **SAMPLER)
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "generate_codes", None)
        metrics, made = score_samples(model, network, num_images, SAMPLER, real, known)
    assert made.labels.tolist() == labels.tolist() and metrics["recognised_as_asked"]
    assert metrics["frechet_distance"]["num_samples"] == num_images
    assert np.mean(unpack_codes(made.codes, 4) != codes) < 1e-3
    images = np.round(model.autoencoder.decode(unpack_codes(made.codes, 4)) * 255)
    assert np.abs(images - made.images).max() <= 1


def test_features_of_real_images_are_of_the_same_images(model, held_out, network):
    whole = real_set(held_out, model.autoencoder, network, 20, seed=1)
    assert whole.images.shape == (20, 16, 16, 1) and whole.codes.shape == (20, 8, 8, 1)
    np.testing.assert_array_equal(real_features(held_out, network, 20, seed=1), whole.features)
    codes = model.autoencoder.encode(whole.images)
    assert np.mean(unpack_codes(whole.codes, 4) != codes) < 1e-3
    everything = real_set(held_out, model.autoencoder, network, 1000, seed=1)
    np.testing.assert_array_equal(everything.images, held_out.images)


def test_perfect_reconstructions_score_as_the_images_do(train, held_out, network):
    real, known = (real_features(source, network, 30, seed=0) for source in (held_out, train))

    def score(reconstruct):
        autoencoder = types.SimpleNamespace(reconstruct=reconstruct)
        return score_reconstructions(autoencoder, network, train, 30, 0, real, known)

    perfect = score(lambda images, batch_size: images / 255.0)
    floor = perfect["frechet_distance_floor"]["value"]
    assert perfect["frechet_distance"]["value"] == pytest.approx(floor, rel=1e-4)
    gray = score(lambda images, batch_size: np.full(images.shape, 0.5))
    assert gray["frechet_distance"]["value"] > 2 * floor
    assert gray["recognised_as_asked"]["value"] <= perfect["recognised_as_asked"]["value"]
