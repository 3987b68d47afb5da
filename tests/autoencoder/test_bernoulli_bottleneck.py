import numpy as np
import pytest
from baselines.bottleneck_contract import check_bottleneck, coded
from harness import to_numpy

from keras_bld.autoencoder import BernoulliBottleneck


def test_contract():
    layer = BernoulliBottleneck(5)
    assert layer.num_inputs == layer.bits_per_cell == 5
    latents, codes = check_bottleneck(layer)
    np.testing.assert_array_equal(latents, codes)


@pytest.mark.parametrize("sharpness", [1.0, 5.0])
def test_bits_follow_the_probabilities(sharpness):
    layer = BernoulliBottleneck(1, seed=0, sharpness=sharpness)
    layer = BernoulliBottleneck.from_config(layer.get_config())
    logits = np.full((1, 100, 100, 1), -0.5 / sharpness, "float32")
    probability = 1 / (1 + np.exp(0.5))
    np.testing.assert_allclose(to_numpy(layer.probabilities(logits)), probability, rtol=1e-6)
    assert to_numpy(layer(logits, training=True)[0]).mean() == pytest.approx(probability, abs=0.03)
    noise = np.random.default_rng(0).random(logits.shape, dtype="float32")
    np.testing.assert_array_equal(coded(layer, logits, noise), noise < probability)
    assert coded(layer, logits).max() == 0.0


def test_no_bits():
    with pytest.raises(ValueError, match="code_channels.*received 0"):
        BernoulliBottleneck(0)
    with pytest.raises(ValueError, match="sharpness.*received 0.0"):
        BernoulliBottleneck(1, sharpness=0.0)
