import numpy as np
import pytest

from keras_bld.data import ArraySource
from keras_bld.evaluation import domain_network, open_network


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


def test_networks_that_cannot_be_had(tmp_path):
    without = ArraySource(np.zeros((4, 16, 16, 1), "uint8"))
    with pytest.raises(ValueError, match="without classes"):
        open_network("domain", without, tmp_path)
    with pytest.raises(ValueError, match="no file"):
        open_network("absent.keras", without, tmp_path)
    with pytest.raises(ValueError, match=r"keras\.applications"):
        open_network("NoSuchNetwork", without, tmp_path)
