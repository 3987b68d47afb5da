import numpy as np
import pytest
from harness import to_numpy

from keras_bld.base.initializers import torch_default_initializer


@pytest.mark.parametrize("shape", ((64, 100), (4, 4, 4, 100)))
def test_uniform_below_the_root_of_the_fan_in(shape):
    values = to_numpy(torch_default_initializer()(shape))
    assert 0.99 / 8 < np.abs(values).max() <= 1 / 8
    assert values.std() == pytest.approx(1 / 8 / np.sqrt(3), rel=0.05)
