"""Bit-packed codes: 8 bits to the byte, little end first, channels padded to whole bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_bld.base import checks
from keras_bld.base.array_operations import as_array, operations_of

BITS_PER_BYTE = 8


def packed_shape(code_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one packed code: (..., c) becomes (..., ceil(c / 8)).

    Example:
        >>> packed_shape((16, 16, 33))
        (16, 16, 5)
    """
    *grid, num_channels = code_shape
    return (*grid, -(-num_channels // BITS_PER_BYTE))


def pack_codes(codes: Any) -> np.ndarray:
    """Pack codes to bytes: bit 0 of byte 0 is channel 0.

    Args:
        codes: array or tensor of 0 and 1 (any dtype, bool too), shape (..., c) with c >= 1.

    Returns:
        uint8 array of shape (..., ceil(c / 8)); the bits beyond channel c - 1 are 0.

    Raises:
        ValueError: no channel axis, no channels, or values other than 0 and 1.

    Example:
        >>> pack_codes([[1, 0, 0, 0, 0, 0, 0, 0, 1]])
        array([[1, 1]], dtype=uint8)
    """
    codes = as_array(codes)
    if codes.ndim == 0 or codes.shape[-1] == 0:
        raise checks.error(
            "codes",
            f"shape {codes.shape}",
            "shape (..., num_channels) with num_channels >= 1",
            "pass codes with the channels last",
        )
    bits = codes == 1
    is_binary = bits | (codes == 0)
    if not is_binary.all():
        raise checks.error(
            "codes",
            f"values such as {codes[~is_binary].flat[0]}",
            "only 0 and 1",
            "threshold probabilities with `codes > 0.5` before packing",
        )
    return np.packbits(bits, axis=-1, bitorder="little")


def unpack_codes(packed: Any, num_channels: int) -> np.ndarray:
    """Unpack bytes to codes; the inverse of `pack_codes`.

    Args:
        packed: uint8 array of shape (..., ceil(num_channels / 8)).
        num_channels: number of channels of the codes, >= 1.

    Returns:
        float32 array of 0 and 1, shape (..., num_channels).

    Raises:
        ValueError: wrong dtype or number of bytes, or a padding bit that is set (the codes were
            packed with another number of channels).

    Example:
        >>> unpack_codes(pack_codes([[1, 0, 1]]), num_channels=3)
        array([[1., 0., 1.]], dtype=float32)
    """
    num_channels = checks.check_integer("num_channels", num_channels, 1)
    packed = as_array(packed)
    (num_bytes,) = packed_shape((num_channels,))
    if packed.dtype != np.uint8 or packed.ndim == 0 or packed.shape[-1] != num_bytes:
        raise checks.error(
            "packed",
            f"dtype {packed.dtype}, shape {packed.shape}",
            f"uint8 of shape (..., {num_bytes}) for {num_channels} channels",
            "pass what `pack_codes` returned, with the number of channels it was given",
        )
    bits = np.unpackbits(packed, axis=-1, bitorder="little")
    if bits[..., num_channels:].any():
        raise checks.error(
            "packed",
            f"bits set beyond channel {num_channels - 1}",
            "padding bits that are 0",
            "pass the number of channels that the codes were packed with",
        )
    return bits[..., :num_channels].astype("float32")


def unpack_bits(packed, num_channels):
    """`unpack_codes` for tensors, unchecked: for use inside a compiled function."""
    ops = operations_of(packed)
    words = ops.cast(packed, "int32")[..., None]
    bits = ops.bitwise_and(ops.right_shift(words, ops.arange(8, dtype="int32")), 1)
    flat = ops.reshape(bits, (*ops.shape(packed)[:-1], packed.shape[-1] * 8))
    return ops.cast(flat[..., :num_channels], "float32")
