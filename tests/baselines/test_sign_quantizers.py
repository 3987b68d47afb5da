import numpy as np
import pytest
from baselines.bottleneck_contract import check_bottleneck, coded
from harness import to_numpy

from keras_bld.baselines import BinarySphericalQuantizer, LookupFreeQuantizer, TanhBernoulli

LENGTHS = {TanhBernoulli: 1.0, LookupFreeQuantizer: 1.0, BinarySphericalQuantizer: 5**-0.5}


@pytest.mark.parametrize("kind", LENGTHS)
def test_contract(kind):
    layer = kind(5)
    assert layer.code_channels == layer.latent_channels == layer.bits_per_cell == 5
    latents, codes = check_bottleneck(layer)
    np.testing.assert_allclose(latents, (2 * codes - 1) * LENGTHS[kind], rtol=1e-6)


def test_the_code_of_tanh_is_right_on_average():
    layer = TanhBernoulli(1, seed=0)
    values = np.full((1, 100, 100, 1), 0.5, "float32")
    latents = to_numpy(layer(values, training=True)[0])
    assert latents.mean() == pytest.approx(np.tanh(0.5), abs=0.03)
    assert to_numpy(layer(values)[0]).min() == 1.0
    noise = np.random.default_rng(0).random(values.shape, dtype="float32")
    share = (1 + np.tanh(0.5)) / 2
    np.testing.assert_array_equal(coded(layer, values, noise), noise < share)


def test_the_entropy_loss_by_hand():
    layer = LookupFreeQuantizer(1, entropy_weight=1.0, commitment_weight=0.0)
    # Two cells, sure and opposite: H(p) = 0, and the mean is even: -log 2.
    cells = np.array([-9.0, 9.0], "float32").reshape(1, 1, 2, 1)
    assert float(layer(cells)[1]) == pytest.approx(-np.log(2), abs=1e-4)
    # Both undecided: log 2 - log 2.
    assert float(layer(0.0 * cells)[1]) == pytest.approx(0.0, abs=1e-6)


def test_spherical_codes_have_unit_length():
    cells = np.random.default_rng(0).normal(size=(1, 2, 2, 5)).astype("float32")
    codes = to_numpy(BinarySphericalQuantizer(5)(cells)[0])
    np.testing.assert_allclose(np.linalg.norm(codes, axis=-1), 1.0, rtol=1e-6)
