import numpy as np
import pytest
from harness import check_eager_equals_compiled
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from small_models import random_codes

from keras_bld.base.packing import pack_codes, packed_shape, unpack_bits, unpack_codes


@given(st.integers(1, 40), st.integers(0, 3), st.integers(0, 2**31 - 1))
def test_round_trip_of_any_number_of_channels(num_channels, rank, seed):
    shape = (*range(2, 2 + rank), num_channels)
    codes = np.random.default_rng(seed).integers(0, 2, shape).astype("float32")
    packed = pack_codes(codes)
    assert packed.dtype == np.uint8 and packed.shape == packed_shape(shape)
    unpacked = unpack_codes(packed, num_channels)
    assert unpacked.dtype == np.float32
    np.testing.assert_array_equal(unpacked, codes)


def test_channel_zero_is_bit_zero():
    # Channels 0 and 3 of the first byte: 2**0 + 2**3 = 9; channels 8 and 9 of the second: 1 + 2.
    code = [1, 0, 0, 1, 0, 0, 0, 0, 1, 1]
    np.testing.assert_array_equal(pack_codes([[code]]), [[[9, 3]]])


@pytest.mark.parametrize("dtype", ["bool", "int32", "float16", "bfloat16"])
def test_tensors_of_any_dtype_are_packed(dtype):
    codes = ops.cast(ops.convert_to_tensor([[0, 1, 1]]), dtype)
    np.testing.assert_array_equal(pack_codes(codes), [[6]])


@pytest.mark.parametrize(
    ("codes", "received"),
    [
        ([[0.5, 1.0]], "0.5"),
        ([[0, 2]], "2"),
        ([[0, 256]], "256"),
        ([[-1, 1]], "-1"),
        ([[float("nan"), 0.0]], "nan"),
        (1, r"shape \(\)"),
        (np.zeros((3, 0)), r"shape \(3, 0\)"),
    ],
)
def test_what_is_not_a_code_is_refused(codes, received):
    with pytest.raises(ValueError, match=f"Invalid `codes`: received .*{received}"):
        pack_codes(codes)


@pytest.mark.parametrize(
    ("packed", "num_channels", "received"),
    [
        (np.zeros((2, 2), "int32"), 16, "dtype int32"),
        (np.zeros((2, 2), "uint8"), 17, r"shape \(2, 2\); expected uint8 of shape \(..., 3\)"),
        (np.full((2, 2), 255, "uint8"), 12, "bits set beyond channel 11"),
        (np.zeros((2, 2), "uint8"), 0, "0; expected an integer >= 1"),
    ],
)
def test_bytes_of_other_codes_are_refused(packed, num_channels, received):
    with pytest.raises(ValueError, match=received):
        unpack_codes(packed, num_channels)


@pytest.mark.parametrize("num_channels", [1, 8, 12, 64])
def test_unpack_is_the_inverse_of_numpys_packing(num_channels):
    codes = random_codes(3, code_shape=(2, 2, num_channels))
    packed = np.packbits(codes.astype("uint8"), axis=-1, bitorder="little")
    assert packed.shape == (3, *packed_shape((2, 2, num_channels)))
    if num_channels == 12:
        packed[..., 1] |= 0b10110000  # the spare bits of the last byte are not looked at
    unpacked = check_eager_equals_compiled(lambda x: unpack_bits(x, num_channels), packed)
    np.testing.assert_array_equal(unpacked, codes)
    assert unpacked.dtype == np.float32
