import numpy as np
import pytest
from harness import to_numpy
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio

from keras_bld.autoencoder.metrics import DeadBits, binary_entropy, mean_bit_entropy, mean_psnr

GENERATOR = np.random.default_rng(0)


def test_psnr_equals_scikit_image():
    images, others = GENERATOR.uniform(size=(2, 3, 8, 8, 1)).astype("float32")
    expected = [
        peak_signal_noise_ratio(image, other, data_range=1.0)
        for image, other in zip(images, others, strict=True)
    ]
    assert float(mean_psnr(images, others)) == pytest.approx(np.mean(expected), rel=1e-5)
    assert float(mean_psnr(images, images)) == pytest.approx(100.0)
    # What is outside [0, 1] is clipped before it is compared.
    assert float(mean_psnr(np.ones_like(images), 1.0 + others)) == pytest.approx(100.0)


def test_entropy_equals_scipy():
    p = GENERATOR.uniform(size=(4, 5)).astype("float32")
    np.testing.assert_allclose(
        to_numpy(binary_entropy(p)), stats.bernoulli(p).entropy(), rtol=1e-4, atol=1e-6
    )
    assert float(mean_bit_entropy(p)) == pytest.approx(
        stats.bernoulli(p).entropy().mean() / np.log(2), rel=1e-5
    )
    assert float(mean_bit_entropy(np.array([0.0, 1.0], "float32"))) == pytest.approx(0.0, abs=1e-5)


def test_dead_bits_by_hand():
    metric = DeadBits((1, 1, 4))
    # Never set, always set, alive within a batch, alive from one batch to the next.
    metric.update_state(np.array([[[[0.1, 0.9, 0.2, 0.4]]], [[[0.5, 0.6, 0.7, 0.3]]]], "float32"))
    assert float(metric.result()) == 0.75
    metric.update_state(np.array([[[[0.0, 1.0, 0.0, 0.8]]]], "float32"))
    assert float(metric.result()) == 0.5
    metric.reset_state()
    assert to_numpy(metric.num_set).sum() == 0
