import keras
import numpy as np
import pytest

from keras_bld.conversion.names import AS_STORED, CONVOLUTION, LINEAR, POINTWISE
from keras_bld.conversion.placement import find, place
from keras_bld.conversion.published_state import PublishedState

SHAPES = {  # layout -> (shape in torch, shape in Keras)
    AS_STORED: ((2, 3), (2, 3)),
    LINEAR: ((2, 3), (3, 2)),
    CONVOLUTION: ((2, 3, 5, 4), (5, 4, 3, 2)),
    POINTWISE: ((2, 3, 1, 1), (3, 2)),
}


class Holder:
    """Stands for a model: `layers` is a list of variables."""

    def __init__(self, *shapes):
        self.layers = [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]


def state_of(**arrays):
    return PublishedState(arrays, {name: f"module.{name}" for name in arrays})


@pytest.mark.parametrize("layout", SHAPES)
def test_layouts(layout):
    torch_shape, keras_shape = SHAPES[layout]
    array = np.random.default_rng(0).normal(size=torch_shape).astype("float32")
    holder = Holder(keras_shape)
    (placed,) = place(holder, [("w", "layers.0", layout)], state_of(w=array))
    assert (placed.name, placed.path, placed.shape) == ("module.w", "layers.0", torch_shape)
    received = keras.ops.convert_to_numpy(holder.layers[0])
    # Output 1, input 2, and the kernel's row 3 and column 0 where there are any.
    if layout == CONVOLUTION:
        assert received[3, 0, 2, 1] == array[1, 2, 3, 0]
    elif layout == AS_STORED:
        assert received[1, 2] == array[1, 2]
    else:
        assert received[2, 1] == array[1, 2].item()
    assert sorted(received.ravel()) == sorted(array.ravel())


@pytest.mark.once
def test_find_walks_attributes_and_lists():
    holder = Holder((1,), (2,))
    assert find(holder, "layers.1") is holder.layers[1]
    assert find(holder, "layers.1.name") == holder.layers[1].name


@pytest.mark.once
def test_all_clashes_in_one_error_and_nothing_assigned():
    holder = Holder(*[(3,)] * 7)
    rows = [(f"w{i}", f"layers.{i}", AS_STORED) for i in range(7)]
    arrays = {f"w{i}": np.ones(3 if i == 0 else 4, "float32") for i in range(7)}
    with pytest.raises(ValueError, match=r"`module.w1` of shape \(4,\) and not \(3,\).* 2 more"):
        place(holder, rows, state_of(**arrays))
    arrays = {f"w{i}": np.full(3, np.inf if i == 6 else 1.0, "float32") for i in range(7)}
    with pytest.raises(ValueError, match="`module.w6` with NaN or infinity"):
        place(holder, rows, state_of(**arrays))
    del arrays["w6"]
    with pytest.raises(ValueError, match="without `w6`"):
        place(holder, rows, state_of(**arrays))
    assert not keras.ops.convert_to_numpy(holder.layers[0]).any()


@pytest.mark.once
def test_large_values_are_finite():
    """A sum in float32 or float16 would overflow."""
    holder = Holder((3,))
    for array in (np.full(3, 3e38, "float32"), np.full(3, 6e4, "float16")):
        place(holder, [("w", "layers.0", AS_STORED)], state_of(w=array))
        assert keras.ops.convert_to_numpy(holder.layers[0])[0] == np.float32(array[0])
