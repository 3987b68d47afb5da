import numpy as np
import pytest
from baselines.priors import MAKERS, SHAPE, constant_codes
from harness import QUICK_CHECK, check_keras_layer_of_several
from keras import ops

from keras_bld import baselines


def test_the_transformer_sees_no_later_cell():
    network = baselines.CausalTransformer((2, 3, 4), 2, 16, 2)
    codes = np.random.default_rng(0).integers(0, 2, (1, 2, 3, 4)).astype("float32")
    changed = codes.copy()
    changed[0, 1, 0] = 1 - changed[0, 1, 0]  # cell 3 of 6
    before, after = (ops.convert_to_numpy(network(c)).reshape(6, 4) for c in (codes, changed))
    np.testing.assert_allclose(after[:4], before[:4], atol=1e-6)
    assert np.abs(after[4:] - before[4:]).max() > 1e-4


def test_keras_own_checks():
    network = baselines.CausalTransformer(SHAPE, 1, 32, 2, num_classes=2)
    inputs = constant_codes(2)[0].astype("float32"), np.array([1, 4]), np.array([0, 1])
    check_keras_layer_of_several(network, *inputs, **QUICK_CHECK)


def test_one_step_for_each_cell():
    model = MAKERS["autoregressive"]()
    assert model.generate_codes(1, seed=0).shape == (1, *SHAPE)
    assert not model.can_skip_steps and MAKERS["absorbing"]().can_skip_steps
    with pytest.raises(ValueError, match=r"received 2; expected \d+, all steps"):
        model.generate_codes(1, num_steps=2)
