"""Packed bits inside a compiled function."""

from keras import ops


def packed_width(num_channels):
    """Bytes that hold `num_channels` bits."""
    return (num_channels + 7) // 8


def unpack_bits(packed, num_channels):
    """Unpack uint8 (..., ceil(c / 8)) to float32 {0, 1} (..., c), little end first."""
    words = ops.cast(packed, "int32")[..., None]
    bits = ops.bitwise_and(ops.right_shift(words, ops.arange(8, dtype="int32")), 1)
    flat = ops.reshape(bits, (*ops.shape(packed)[:-1], packed.shape[-1] * 8))
    return ops.cast(flat[..., :num_channels], "float32")
