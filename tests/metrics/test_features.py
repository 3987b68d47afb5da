import hashlib

import keras
import numpy as np
import pytest
import scipy.signal

from keras_bld.metrics import (
    FeatureNetwork,
    application_network,
    build_classifier,
    extract_features,
    feature_statistics,
    frechet_distance,
    inception_score,
)


def random_images(count, channels=3, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, size=(count, 8, 8, channels))
    return images.astype("uint8")


@pytest.fixture(scope="module")
def network():
    """One convolution without activation or padding, weights from NumPy, maps averaged."""
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(5, 3, name="maps")])
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=(3, 3, 3, 5)), generator.normal(size=5)])
    return FeatureNetwork(model, "one convolution")


def features_by_scipy(network, images):
    kernel, bias = network.model.get_weights()
    features = np.empty((len(images), 5))
    for i, image in enumerate(images / 255.0):
        for j in range(5):
            maps = scipy.signal.correlate(image, kernel[..., j], mode="valid")
            features[i, j] = maps.mean() + bias[j]
    return features


def test_equal_to_scipy_and_so_on_every_backend(network):
    real, generated = random_images(40), random_images(30, seed=1) // 2
    expected = [features_by_scipy(network, images) for images in (real, generated)]
    received = [extract_features(images, network, batch_size=7) for images in (real, generated)]
    assert received[0].shape == (40, 5) and received[0].dtype == "float32"
    np.testing.assert_allclose(received[0], expected[0], rtol=1e-4, atol=1e-5)
    assert frechet_distance(*received) == pytest.approx(frechet_distance(*expected), rel=1e-3)


def test_any_source_and_any_batching_give_the_same(network):
    images = random_images(23)
    expected = extract_features(images, network, batch_size=8)

    class Dataset(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return images[index * 10 : (index + 1) * 10], np.zeros(3)

    sources = {
        "tensor": keras.ops.convert_to_tensor(images),
        "generator of uneven batches": (images[i:j] for i, j in ((0, 1), (1, 12), (12, 23))),
        "generator of (images, labels)": ((images[i : i + 9], i) for i in (0, 9, 18)),
        "floats": images / 255.0,
        "PyDataset": Dataset(),
    }
    for name, source in sources.items():
        received = extract_features(source, network, batch_size=8)
        np.testing.assert_array_equal(received, expected, err_msg=name)
    for batch_size in (1, 5, 64):
        received = extract_features(images, network, batch_size=batch_size)
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_tf_data_and_grain(network):
    tf = pytest.importorskip("tensorflow")
    grain = pytest.importorskip("grain")
    images = random_images(11)
    expected = extract_features(images, network, batch_size=4)
    for source in (
        tf.data.Dataset.from_tensor_slices(images).batch(3),
        grain.MapDataset.source(images).batch(3).to_iter_dataset(),
    ):
        received = extract_features(source, network, batch_size=4)
        np.testing.assert_array_equal(received, expected)


def test_one_shape_is_compiled(network):
    extract_features(random_images(9), network, batch_size=6)
    before = network.compute.num_traces
    extract_features(random_images(14), network, batch_size=6)
    assert network.compute.num_traces == before


def test_statistics_are_those_of_the_features(network):
    images = random_images(21)
    statistics = feature_statistics(images, network, batch_size=8)
    features = extract_features(images, network, batch_size=8).astype("float64")
    assert statistics.count == 21
    np.testing.assert_allclose(statistics.mean, features.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(statistics.covariance, np.cov(features, rowvar=False), rtol=1e-6)


def test_gray_images_become_three_channels_and_preprocess_is_applied(network):
    gray = random_images(4, channels=1)
    expected = extract_features(np.repeat(gray, 3, axis=-1), network)
    np.testing.assert_array_equal(extract_features(gray, network), expected)
    flipped = extract_features(gray, network, preprocess=lambda images: 1.0 - images)
    np.testing.assert_allclose(flipped, extract_features(255 - gray, network), rtol=1e-5)


def test_a_classifier_as_domain_network():
    classifier = build_classifier((8, 8, 1), 4, width=4)
    network = FeatureNetwork.from_classifier(classifier, "digits classifier")
    assert network.metric_name("FID") == "FID (digits classifier)"
    images = random_images(6, channels=1)
    features = extract_features(images, network)
    logits = classifier.predict_on_batch(images / np.float32(255.0))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = network.class_probabilities(features)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4)
    assert 1.0 <= inception_score(probabilities, splits=1)[0] <= 4.0


def test_the_hash_is_of_the_weights(network):
    kernel, bias = network.model.get_weights()
    digest = hashlib.sha256()
    for values in (kernel, bias):
        digest.update(f"float32{values.shape}".encode() + values.tobytes())
    assert network.weights_sha256 == digest.hexdigest()


def test_application_network():
    network = application_network("VGG16", image_size=32, weights=None)
    images = np.random.default_rng(0).integers(0, 256, size=(2, 32, 32, 3)).astype("uint8")
    images[1] = 128
    features = extract_features(images, network, batch_size=2)
    # The published range of values (BGR, means of ImageNet taken off); no resize at 32 pixels.
    backbone = network.model.layers[-1]
    maps = backbone.predict_on_batch(images[..., ::-1] - np.float32([103.939, 116.779, 123.68]))
    expected = maps.mean(axis=(1, 2))
    assert np.abs(expected).max() > 0.0
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-5)
    # Any other size is resized: a constant image stays what it is.
    constant = np.full((2, 40, 70, 3), 128, dtype="uint8")
    resized = extract_features(constant, network, batch_size=2)
    np.testing.assert_allclose(resized, features[[1, 1]], rtol=1e-3, atol=1e-5)
    assert network.name == "VGG16, random weights, 32 pixels"
    with pytest.raises(ValueError, match="has no classes"):
        network.class_probabilities(features)


def test_bad_input_is_refused(network, tmp_path):
    images = random_images(4)
    with pytest.raises(ValueError, match="no images"):
        extract_features(iter([]), network)
    with pytest.raises(ValueError, match="add the batch dimension"):
        extract_features([images[0]], network)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        extract_features(images.astype("float32"), network)
    with pytest.raises(ValueError, match="`network`"):
        extract_features(images, lambda x: x)
    with pytest.raises(ValueError, match="batch_size"):
        extract_features(images, network, batch_size=0)
    with pytest.raises(ValueError, match="keras.applications"):
        application_network("ResNet5000")
    missing = str(tmp_path / "missing.weights.h5")
    with pytest.raises(ValueError, match="missing.weights.h5"):
        application_network("MobileNetV2", image_size=32, weights=missing)


@pytest.mark.once
def test_a_linear_classifier_on_features():
    """Bayes' rule for Gaussian classes of one covariance; a class without samples is never told."""
    generator = np.random.default_rng(0)
    means = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    labels = generator.permutation(np.repeat([0, 1, 3], [6000, 3000, 3000]))
    features = means[np.minimum(labels, 2)] + generator.normal(size=(12000, 2))
    model = build_classifier((8, 8, 1), 2, width=4)
    network = FeatureNetwork(model, "tiny").with_classes(features, labels, 4, shrinkage=1e-6)
    points = generator.uniform(-1.0, 4.0, size=(50, 2))
    density = np.exp(-0.5 * np.square(points[:, None] - means).sum(axis=2)) * [0.5, 0.25, 0.25]
    received = network.class_probabilities(points)
    assert received[:, 2].max() < 1e-300
    expected = density / density.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(received[:, [0, 1, 3]], expected, atol=0.05)
