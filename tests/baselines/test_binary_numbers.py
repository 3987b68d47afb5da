import numpy as np
from harness import to_numpy

from keras_bld.baselines.binary_numbers import bits_of, numbers_of


def test_bits_by_hand_and_back():
    numbers = np.array([[5, 1, 2], [0, 0, 3]], "int32")
    bits = bits_of(numbers, (3, 1, 2))
    # The lowest bit first: 5 = 101, 2 = 01.
    assert to_numpy(bits).tolist() == [[1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 1, 1]]
    np.testing.assert_array_equal(to_numpy(numbers_of(bits, (3, 1, 2))), numbers)


def test_large_numbers_are_exact():
    numbers = np.array([[0], [2**20 - 1], [699051]], "int32")
    np.testing.assert_array_equal(to_numpy(numbers_of(bits_of(numbers, (20,)), (20,))), numbers)
