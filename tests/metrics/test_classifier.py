import keras
import numpy as np
import pytest
import sklearn.datasets

from keras_bld.base.fitting.resuming import finished_steps
from keras_bld.metrics import (
    build_classifier,
    classification_accuracy_score,
    classifier,
    feature_extractor,
    train_classifier,
)


def digits(num_train=400):
    data = sklearn.datasets.load_digits()
    images = (data.images[..., None] / 16.0).astype("float32")
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:num_train], order[1400:]
    return images[train], data.target[train], images[test], data.target[test]


def test_real_digits_are_learnt():
    images, labels, test_images, test_labels = digits()
    options = {"num_classes": 10, "epochs": 10, "width": 16, "batch_size": 32}
    score = classification_accuracy_score(images, labels, test_images, test_labels, **options)
    # 130 steps on 400 images; all 1,400 and some hundred steps give 0.99.
    assert 0.75 < score["top_1"] < score["top_5"] <= 1.0


def test_the_score_by_hand(monkeypatch):
    # Logits that rank the true class 1st, 2nd, 5th and 6th: top-1 1/4, top-5 3/4.
    logits = np.zeros((4, 6), dtype="float32")
    for row, num_better in enumerate((0, 1, 4, 5)):
        logits[row, 1 : 1 + num_better] = 2.0
        logits[row, 0] = 1.0
    monkeypatch.setattr(classifier, "train_classifier", lambda *arguments, **options: None)
    monkeypatch.setattr(classifier, "_predict", lambda model, images: logits)
    images, labels = np.zeros((4, 8, 8, 1)), np.zeros(4, dtype="int64")
    score = classification_accuracy_score(images, labels, images, labels, num_classes=6)
    assert score == {"top_1": 0.25, "top_5": 0.75}


@pytest.mark.slow  # two compilations of a training step
def test_equal_seeds_train_equal_classifiers_and_the_global_state_stays():
    images, labels, _, _ = digits(64)
    weights = []
    for global_seed in (1, 2):
        keras.utils.set_random_seed(global_seed)
        model = train_classifier(images, labels, num_classes=10, epochs=1, width=4, seed=3)
        weights.append(model.get_weights())
        drawn = np.random.uniform()
        keras.utils.set_random_seed(global_seed)
        assert drawn == np.random.uniform()
    for first, second in zip(*weights, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_an_interrupted_training_goes_on_to_the_same_classifier(tmp_path, monkeypatch):
    images, labels, *_ = digits(40)
    options = {"num_classes": 10, "width": 2, "batch_size": 16, "num_steps": 8}
    whole = train_classifier(images, labels, **options)
    read = classifier._Batches.__getitem__
    with monkeypatch.context() as patch:
        patch.setattr(
            classifier._Batches, "__getitem__", lambda self, i: read(self, i if i < 6 else None)
        )
        with pytest.raises(Exception, match="NoneType"):
            train_classifier(images, labels, **options, folder=tmp_path)
    assert finished_steps(tmp_path) in (3, 6)
    parts = train_classifier(images, labels, **options, folder=tmp_path)
    assert finished_steps(tmp_path) == 8
    for value, wanted in zip(parts.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_the_seed_decides_weights_order_and_shifts():
    kernels = [
        build_classifier((8, 8, 1), 10, width=4, seed=seed).get_weights()[0] for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01
    images, labels, _, _ = digits(64)
    batches = [
        classifier._Batches(images, labels, 64, augment=True, seed=seed, num_steps=1)[0]
        for seed in (3, 3, 4)
    ]
    for first, second, other in zip(*batches, strict=True):
        np.testing.assert_array_equal(first, second)
        assert (first != other).any()


def test_every_image_is_seen_in_each_pass_in_batches_of_one_size():
    images = np.arange(10, dtype="uint8").reshape(10, 1, 1, 1)
    batches = classifier._Batches(images, np.arange(10), 4, augment=False, seed=0, num_steps=7)
    seen = [batches[index] for index in range(len(batches))]
    assert [len(labels) for _, labels in seen] == [4] * 7
    for pixels, labels in seen:
        np.testing.assert_allclose(pixels.ravel() * 255.0, labels, atol=1e-5)
    orders = [np.concatenate([labels for _, labels in seen[first:][:3]]) for first in (0, 3)]
    assert set(orders[0]) == set(orders[1]) == set(range(10))
    assert (orders[0] != orders[1]).any()


def test_a_number_of_steps_stands_for_passes(monkeypatch):
    taken = []
    monkeypatch.setattr(
        keras.Model, "fit", lambda model, batches, **options: taken.append(len(batches))
    )
    images, labels = np.zeros((10, 8, 8, 1)), np.arange(10) % 2
    for options in ({"epochs": 3}, {"num_steps": 7}):
        train_classifier(images, labels, 2, width=4, batch_size=4, **options)
    assert taken == [9, 7]


def test_shift_by_hand():
    image = np.arange(9.0).reshape(1, 3, 3, 1)
    # One row down and one column to the left; the edges are repeated.
    shifted = classifier._shift(image, np.array([[1, -1]]))
    assert shifted[0, :, :, 0].tolist() == [[1, 2, 2], [1, 2, 2], [4, 5, 5]]
    np.testing.assert_array_equal(classifier._shift(image, np.array([[0, 0]])), image)


def test_features_are_what_the_logits_are_computed_from():
    model = build_classifier((16, 12, 3), num_classes=4, width=8)
    images = np.random.default_rng(0).uniform(size=(3, 16, 12, 3)).astype("float32")
    features = feature_extractor(model).predict_on_batch(images)
    assert features.shape == (3, 32)
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(
        features @ kernel + bias, model.predict_on_batch(images), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="'features'"):
        feature_extractor(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))


@pytest.mark.parametrize("size", [4, 7, 28, 32, 64])
def test_the_last_maps_are_small_at_any_image_size(size):
    model = build_classifier((size, size, 1), num_classes=2, width=4)
    maps = model.get_layer("features").input.shape
    assert max(maps[1:3]) <= 4 and maps[3] == 16


@pytest.mark.slow
def test_resnet50_of_the_paper():
    pytest.importorskip("keras_cv")
    model = build_classifier((32, 32, 3), num_classes=10, backbone="resnet50")
    # keras_cv's own number for the backbone, and the dense layer.
    assert model.count_params() == 23_561_152 + 2048 * 10 + 10
    images = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype("float32")
    assert feature_extractor(model).predict_on_batch(images).shape == (2, 2048)


def test_bad_input_is_refused():
    images, labels = np.zeros((4, 8, 8, 1)), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="`labels`.*0 .. 1"):
        train_classifier(images, labels + 1, num_classes=2)
    with pytest.raises(ValueError, match="`labels`.*one for each image"):
        train_classifier(images, labels[:3], num_classes=2)
    with pytest.raises(ValueError, match="`labels`.*integers"):
        train_classifier(images, labels / 2.0, num_classes=2)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        train_classifier(images + 2.0, labels, num_classes=2)
    with pytest.raises(ValueError, match="`test_images`"):
        classification_accuracy_score(images, labels, images[:, :4], labels, num_classes=2)
    with pytest.raises(ValueError, match="`test_labels`"):
        classification_accuracy_score(images, labels, images, labels + 5, num_classes=2)
    with pytest.raises(ValueError, match="backbone"):
        build_classifier((8, 8, 1), 2, backbone="resnet51")
    with pytest.raises(ValueError, match="image_shape"):
        build_classifier((8, 8), 2)
