import numpy as np
import pytest

from keras_bld.serving.compression import compress, is_compressible, output_axis

pytestmark = pytest.mark.on_tensorflow


@pytest.mark.parametrize("shape", [(40, 30), (16, 8, 3, 3)])
def test_int8_is_within_half_a_level_of_each_output(shape):
    array = np.random.default_rng(0).normal(size=shape).astype("float32")
    axis = output_axis(array)
    array[(slice(None), 0) if axis else 0] = 0.0  # an output without weights
    small, factors = compress(array, "int8", axis)
    assert small.dtype == np.int8 and small.min() >= -127 and small.max() == 127
    assert factors.size == array.shape[axis]
    assert (abs(small * factors - array) <= factors / 2 + 1e-6).all()


@pytest.mark.parametrize(("dtype", "error"), [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_sixteen_bits_round(dtype, error):
    array = np.random.default_rng(0).normal(size=(40, 30)).astype("float32")
    small, factors = compress(array, dtype)
    assert small.dtype.name == dtype and factors is None
    assert (abs(small.astype("float32") - array) <= error * abs(array) + 1e-7).all()


def test_biases_and_integers_stay():
    assert is_compressible(np.zeros((32, 32), "float32"))
    assert not is_compressible(np.zeros((31, 32), "float32"))
    assert not is_compressible(np.zeros((2048,), "float32"))
    assert not is_compressible(np.zeros((32, 32), "int32"))
