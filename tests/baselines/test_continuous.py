import numpy as np
import pytest
from baselines.bottleneck_contract import check_bottleneck, coded, encoder_outputs
from harness import to_numpy

from keras_bld.baselines import GaussianBottleneck


def test_contract():
    layer = GaussianBottleneck(3, seed=0)
    assert not layer.has_binary_codes and layer.num_inputs == 6
    latents, codes = check_bottleneck(layer)
    np.testing.assert_array_equal(codes, latents)
    np.testing.assert_array_equal(codes, encoder_outputs(6)[..., :3])


def test_samples_are_normal():
    layer = GaussianBottleneck(1, seed=0)
    mean, deviation = 2.0, 0.5
    cells = np.empty((1, 200, 200, 2), "float32")
    cells[...] = mean, 2 * np.log(deviation)
    noise = np.random.default_rng(0).random((1, 200, 200, 1), dtype="float32")
    for sampled in (layer(cells, training=True)[0], layer.to_codes(cells, noise)):
        sampled = to_numpy(sampled)
        assert sampled.mean() == pytest.approx(mean, abs=0.02)
        assert sampled.std() == pytest.approx(deviation, abs=0.02)
        assert ((sampled - mean) ** 4).mean() == pytest.approx(3 * deviation**4, rel=0.1)


def test_no_noise_is_infinitely_far():
    extremes = np.array([0.0, 1.0 - 2.0**-24], "float32").reshape(1, 1, 2, 1)
    codes = coded(GaussianBottleneck(1), np.zeros((1, 1, 2, 2), "float32"), extremes)
    assert -6 < codes.min() < -4 and codes.max() == pytest.approx(-codes.min(), rel=1e-3)


def test_the_divergence_by_hand():
    layer = GaussianBottleneck(1, kl_weight=2.0)
    cells = np.array([3.0, np.log(4.0)], "float32").reshape(1, 1, 1, 2)
    # 0.5 (mean^2 + variance - 1 - log variance)
    assert float(layer(cells)[1]) == pytest.approx(2.0 * 0.5 * (9 + 4 - 1 - np.log(4)))
