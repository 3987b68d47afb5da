"""Seeds and explicit noise: the same uniforms on every backend, from a counter, without state.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Threefry-2x32
with 20 rounds. It needs only add, xor and rotate, so int32 `keras.ops` arithmetic gives the same
bits on TensorFlow, JAX, torch and in an exported graph, and `seed` may be a traced input.
"""

import math
import random as python_random

from keras_bld.base import checks
from keras_bld.base.array_operations import operations_of

MAX_SEED = 2**31 - 1
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def resolve_seed(seed):
    """Return a seed in [0, 2**31 - 1]; `None` draws one from Python's `random` module.

    `keras.utils.set_random_seed` seeds that module, so a script that calls it is reproducible
    also where it leaves `seed=None`.

    Raises:
        ValueError: `seed` is not an integer in [0, 2**31 - 1].
    """
    if seed is None:
        return python_random.randint(0, MAX_SEED)
    return checks.check_integer("seed", seed, 0, MAX_SEED)


def threefry_2x32(key, counter):
    """Threefry-2x32 with 20 rounds on int32 tensors, or on arrays.

    Args:
        key, counter: pairs of int32 tensors whose shapes broadcast.

    Returns:
        A pair of int32 tensors: 64 random bits for each counter.
    """
    ops = operations_of(key[1])
    schedule = (key[0], key[1], ops.bitwise_xor(ops.bitwise_xor(key[0], key[1]), _PARITY))
    x, y = counter[0] + schedule[0], counter[1] + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = ops.bitwise_xor(_rotate_left(y, rotation), x)
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + (group + 1)
    return x, y


def uniforms(seed, sample_indices, step, shape):
    """Uniform numbers in [0, 1) that depend on (seed, sample index, step, position) alone.

    Args:
        seed: int or int32 scalar tensor (may be traced), 0 <= seed < 2**31; or one for each
            sample, (batch, 1).
        sample_indices: int32 tensor of shape (batch,); sample i gets the same numbers in
            whatever batch it stands. A NumPy array is computed with NumPy and gives an array.
        step: int or int32 scalar tensor, or one for each sample, (batch, 1); which draw of the
            sample this is.
        shape: shape of one sample's draw, e.g. (height, width, channels).

    Returns:
        float32 tensor of shape (batch, *shape), multiples of 2**-24 in [0, 1).
    """
    ops = operations_of(sample_indices)
    size = math.prod(shape)
    half = (size + 1) // 2
    sample_indices = ops.cast(sample_indices, "int32")
    batch = ops.shape(sample_indices)[0]
    seed = ops.cast(ops.convert_to_tensor(seed), "int32")
    step = ops.cast(ops.convert_to_tensor(step), "int32")
    positions = ops.arange(half, dtype="int32")[None, :]  # (1, half)
    key = (seed, sample_indices[:, None])
    counter = (positions, step)
    first, second = threefry_2x32(key, counter)  # (batch, half) each
    words = ops.concatenate([first, second], axis=1)[:, :size]
    top_24_bits = _shift_right_logical(words, 8)
    numbers = ops.cast(top_24_bits, "float32") * (2.0**-24)
    return ops.reshape(numbers, (batch, *shape))


def _rotate_left(words, amount):
    ops = operations_of(words)
    return ops.bitwise_or(ops.left_shift(words, amount), _shift_right_logical(words, 32 - amount))


def _shift_right_logical(words, amount):
    ops = operations_of(words)
    # int32 shifts to the right copy the sign bit; the mask removes the copies.
    return ops.bitwise_and(ops.right_shift(words, amount), (1 << (32 - amount)) - 1)
