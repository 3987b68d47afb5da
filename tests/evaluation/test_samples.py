import types

import keras
import numpy as np
import pytest
from ray_work import pickled_in_pieces

from keras_bld.base.bulk import run_here
from keras_bld.data import unpack_codes
from keras_bld.diffusion import Sampling
from keras_bld.evaluation.samples import (
    asked_labels,
    batch_size_for,
    real_features,
    real_set,
    score_reconstructions,
    score_samples,
    training_spaces,
)
from keras_bld.text import LabelConditions

SAMPLING = Sampling(num_steps=2, temperature=1.0, guidance_scale=0.5)


def test_samples_are_those_of_generate_though_never_all_codes_are_in_memory(
    model, train, held_out, network, monkeypatch
):
    num_images = batch_size_for(model.autoencoder.image_shape) + 6  # two batches
    real, known = (real_features(source, network, 30, seed=0) for source in (held_out, train))
    labels = asked_labels(LabelConditions(model), num_images, known.labels, 3)
    codes = model.generate_codes(num_images, labels=labels, sampling=SAMPLING, seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "generate_codes", None)
        metrics, made = score_samples(model, network, num_images, SAMPLING, 3, real, known)
    assert made.labels.tolist() == labels.tolist() and metrics["recognised_as_asked"]
    assert metrics["frechet_distance"]["num_samples"] == num_images
    assert np.mean(unpack_codes(made.codes, 4) != codes) < 1e-3
    images = np.round(model.autoencoder.decode(unpack_codes(made.codes, 4)) * 255)
    assert np.abs(images - made.images).max() <= 1


def test_features_of_real_images_are_of_the_same_images(model, held_out, network):
    whole = real_set(held_out, model.autoencoder, network, 20, seed=1)
    assert whole.images.shape == (20, 16, 16, 1) and whole.codes.shape == (20, 8, 8, 1)
    alone = real_features(held_out, network, 20, seed=1)
    np.testing.assert_array_equal(alone.features, whole.features)
    np.testing.assert_array_equal(alone.labels, whole.labels)
    codes = model.autoencoder.encode(whole.images)
    assert np.mean(unpack_codes(whole.codes, 4) != codes) < 1e-3
    everything = real_set(held_out, model.autoencoder, network, 1000, seed=1)
    np.testing.assert_array_equal(everything.images, held_out.images)


def test_images_and_features_that_were_made_elsewhere(model, train, held_out, network):
    num_images = batch_size_for(model.autoencoder.image_shape) + 6
    found = []
    for engine in (run_here, pickled_in_pieces):
        real = real_set(held_out, model.autoencoder, network, 30, 1, engine)
        known = real_features(train, network, 30, 0, engine)
        metrics, made = score_samples(
            model, network, num_images, SAMPLING, 3, real, known, engine=engine
        )
        spaces = list(training_spaces(held_out, model.autoencoder, network, engine))
        found.append((metrics, real, known, made, spaces))
    for here, there in zip(*(keras.tree.flatten([vars(s) for s in f[1:4]] + f[4]) for f in found),
                           strict=True):  # fmt: skip
        np.testing.assert_array_equal(here, there)
    assert found[0][0] == found[1][0]


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


def test_classes_are_asked_for_as_often_as_they_are_among_the_training_images():
    conditions = types.SimpleNamespace(num_classes=4)
    known = np.repeat(np.arange(4), [60, 30, 10, 0])
    labels = asked_labels(conditions, 50, known)
    assert np.bincount(labels, minlength=4).tolist() == [30, 15, 5, 0]
    assert np.bincount(labels[:20], minlength=4).tolist() == [12, 6, 2, 0]  # they take turns
    assert asked_labels(conditions, 8, np.arange(4).repeat(9)).tolist() == [0, 1, 2, 3] * 2
    balanced = asked_labels(conditions, 10, np.arange(4).repeat(9))
    assert sorted(np.bincount(balanced)) == [2, 2, 3, 3]
    # Fewer images than classes: not the first classes.
    few = [asked_labels(types.SimpleNamespace(num_classes=100), 10, seed=seed) for seed in (0, 1)]
    assert few[0].tolist() != few[1].tolist() and few[0].max() > 30 < few[1].max()
    assert asked_labels(types.SimpleNamespace(num_classes=None), 10, known) is None
