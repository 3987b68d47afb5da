import numpy as np
import pytest
from diffusion.tiny import random_codes
from harness import check_eager_equals_compiled

from keras_bld.diffusion.packing import packed_width, unpack_bits


@pytest.mark.parametrize("num_channels", [1, 8, 12, 64])
def test_unpack_is_the_inverse_of_numpys_packing(num_channels):
    codes = random_codes(3, code_shape=(2, 2, num_channels))
    packed = np.packbits(codes.astype("uint8"), axis=-1, bitorder="little")
    assert packed.shape == (3, 2, 2, packed_width(num_channels))
    if num_channels == 12:
        packed[..., 1] |= 0b10110000  # the spare bits of the last byte are not looked at
    unpacked = check_eager_equals_compiled(lambda x: unpack_bits(x, num_channels), packed)
    np.testing.assert_array_equal(unpacked, codes)
    assert unpacked.dtype == np.float32


@pytest.mark.once
def test_packed_width_by_hand():
    assert [packed_width(channels) for channels in (1, 7, 8, 9, 32, 33)] == [1, 1, 1, 2, 4, 5]
