"""Interpolation: a path from one code to another, with a way back to codes that are likely."""

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base import random as bld_random

# Numbers of draws, beyond those of any sampler: its own begin with 0.
_FLIP_ORDER, _NOISE, _FREEDOM = (2**30 + number for number in range(3))


def interpolation(codes_a, codes_b, num_frames, seed, signal=0.0):
    """The frames between pairs of codes.

    Each bit in which two codes differ has its place in an order that the seed draws. Frame f of F
    takes from the second code the bits whose place is below f / (F - 1). The middle of this path
    is half of each code, and looks like it; so a reverse chain may begin at the noised frames:
    of the frames in the middle it may change every bit, and none of the first and the last.

    Args:
        codes_a, codes_b: float32 {0, 1}, (num_pairs, h, w, c).
        num_frames: F >= 2, ends included.
        seed: int; pair i depends on the seed and on i alone, and its frames share their noise.
        signal: k_t of the time step at which the chain begins.

    Returns:
        Dictionary of `codes`, the path; `noisy_codes`, drawn from q(z^t | codes); and `known`, 1
        for bits that shall stay as in `codes`. Each is float32 (num_pairs * num_frames, h, w, c).
    """
    shape = codes_a.shape
    indices = np.arange(len(codes_a), dtype="int32")

    def draw(number):
        uniforms = bld_random.uniforms(seed, indices, number, shape[1:])
        return ops.convert_to_numpy(uniforms)[:, None]

    share = np.linspace(0.0, 1.0, num_frames, dtype="float32")[:, None, None, None]
    codes = np.where(draw(_FLIP_ORDER) < share, codes_b[:, None], codes_a[:, None])
    noisy = draw(_NOISE) < signal * codes + (1.0 - signal) / 2.0
    known = draw(_FREEDOM) < np.abs(2.0 * share - 1.0)
    return {
        name: np.broadcast_to(array, codes.shape).reshape(-1, *shape[1:]).astype("float32")
        for name, array in (("codes", codes), ("noisy_codes", noisy), ("known", known))
    }


def falling_from(grid, noise_level, num_training_steps):
    """The part of a grid of time steps that begins at the share `noise_level` of T."""
    first = noise_level * num_training_steps
    return tuple(int(t) for t in grid if t <= first) or (max(1, round(first)),)


def check_pairs(images_a, images_b, image_shape):
    """Return both as checked images; raises where they are not as many."""
    images_a, images_b = (
        checks.check_images(np.asarray(images), image_shape, name)
        for name, images in (("images_a", images_a), ("images_b", images_b))
    )
    if len(images_a) != len(images_b):
        raise checks.error(
            "images_b",
            f"{len(images_b)} images",
            f"{len(images_a)}, as many as images_a",
            "give one image for each of images_a",
        )
    return images_a, images_b
