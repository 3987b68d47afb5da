"""Numbers as bits, and bits as numbers; the lowest bit first."""

import numpy as np
from keras import ops


def bits_of(numbers, num_bits):
    """Integers of several channels as bits.

    Args:
        numbers: int32 (..., channels); that of channel i in [0, 2 ** num_bits[i]).
        num_bits: bits of each channel.

    Returns:
        {0, 1} in float32, (..., sum(num_bits)).
    """
    channels, powers = _channels_and_powers(num_bits)
    repeated = ops.take(numbers, ops.convert_to_tensor(channels), axis=-1)
    return ops.cast(repeated // ops.convert_to_tensor(powers) % 2, "float32")


def numbers_of(bits, num_bits):
    """Inverse of `bits_of`: float32 {0, 1} (..., sum(num_bits)) -> int32 (..., channels)."""
    channels, powers = _channels_and_powers(num_bits)
    weights = np.zeros((len(channels), len(num_bits)), "float32")
    weights[np.arange(len(channels)), channels] = powers
    # Exact: bits times powers of two, and sums below 2**24.
    return ops.cast(ops.matmul(bits, ops.convert_to_tensor(weights)), "int32")


def _channels_and_powers(num_bits):
    """Of each bit: which channel it belongs to, and what it is worth there."""
    channels = np.repeat(np.arange(len(num_bits)), num_bits)
    powers = 2 ** np.concatenate([np.arange(count) for count in num_bits])
    return channels.astype("int32"), powers.astype("int32")
