import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from keras_bld.base.images import to_uint8


@pytest.mark.parametrize("kind", (list, np.array, ops.convert_to_tensor))
def test_levels_are_the_nearest(kind):
    levels = to_uint8(kind([0.0, 0.49 / 255, 0.51 / 255, 100.4 / 255, 1.0]))
    assert ops.is_tensor(levels) == (kind is ops.convert_to_tensor)
    assert to_numpy(levels).tolist() == [0, 0, 1, 100, 255]
    assert to_numpy(levels).dtype == np.uint8
