import math

import keras
import numpy as np
import pytest
from harness import check_eager_equals_compiled, to_numpy
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_bld.base import random
from keras_bld.base.backend import compile_function

# Known answers of Random123 1.14 (tests/kat_vectors, "threefry2x32 20"): counter, key, result.
KNOWN_ANSWERS = (
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
)


def int32(words):
    """uint32 words as the int32 numbers of the same bits."""
    return np.asarray(words, "uint32").view("int32")


def threefry_with_uint32(key, counter):
    """Threefry-2x32-20 straight from the paper, in NumPy's uint32 and with true shifts."""
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    key = [np.uint32(word) for word in key]
    key.append(key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x = np.asarray(counter[0], "uint32") + key[0]
    y = np.asarray(counter[1], "uint32") + key[1]
    for index in range(20):
        x = x + y
        amount = np.uint32(rotations[index % 8])
        y = (y << amount | y >> (np.uint32(32) - amount)) ^ x
        if index % 4 == 3:
            injection = index // 4 + 1
            x = x + key[injection % 3]
            y = y + key[(injection + 1) % 3] + np.uint32(injection)
    return x, y


def uniforms_with_uint32(seed, sample_indices, step, shape):
    """What `random.uniforms` documents: words, top 24 bits, first words before second words."""
    size = math.prod(shape)
    positions = np.arange((size + 1) // 2, dtype="uint32")
    samples = []
    for sample in sample_indices:
        counter = (positions, np.full_like(positions, step))
        words = np.concatenate(threefry_with_uint32((seed, sample), counter))[:size]
        samples.append(((words >> np.uint32(8)) / np.float64(2**24)).reshape(shape))
    return np.stack(samples).astype("float32")


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("counter, key, expected", KNOWN_ANSWERS)
def test_threefry_gives_the_known_answers(counter, key, expected):
    def threefry(*words):
        return random.threefry_2x32(words[:2], words[2:])

    words = [int32([word]) for word in (*key, *counter)]
    first, second = check_eager_equals_compiled(threefry, *words)
    assert first.dtype == second.dtype == np.int32
    assert (first.view("uint32")[0], second.view("uint32")[0]) == expected
    # The table's independent implementation is held to the same answers.
    assert tuple(int(word) for word in threefry_with_uint32(key, counter)) == expected


@pytest.mark.skipif(keras.config.backend() != "jax", reason="compares with JAX's own Threefry")
def test_threefry_equals_that_of_jax():
    from jax.extend.random import threefry_2x32

    generator = np.random.default_rng(0)
    key = generator.integers(0, 2**32, 2, "uint32")
    count = generator.integers(0, 2**32, 2000, "uint32")
    first, second = random.threefry_2x32(
        [int32([word]) for word in key], [int32(count[:1000]), int32(count[1000:])]
    )
    received = np.concatenate([to_numpy(first), to_numpy(second)]).view("uint32")
    np.testing.assert_array_equal(received, np.asarray(threefry_2x32(key, count)))


@given(
    seed=st.integers(0, random.MAX_SEED),
    sample_indices=st.lists(st.integers(0, random.MAX_SEED), min_size=1, max_size=3),
    step=st.integers(0, random.MAX_SEED),
    shape=st.sampled_from([(1,), (5,), (2, 3), (2, 2, 3)]),
)
def test_uniforms_equal_an_independent_implementation(seed, sample_indices, step, shape):
    received = to_numpy(random.uniforms(seed, np.array(sample_indices, "int32"), step, shape))
    assert received.dtype == np.float32
    np.testing.assert_array_equal(received, uniforms_with_uint32(seed, sample_indices, step, shape))


def test_uniforms_of_a_seed_never_change():
    # Pinned: a change here changes every picture that a seed stands for.
    received = to_numpy(random.uniforms(7, np.array([0, 1], "int32"), 3, (2, 2))) * 2**24
    assert received.astype(int).tolist() == [
        [[5967012, 7531913], [14876000, 9057351]],
        [[4847311, 6828720], [15154283, 5759969]],
    ]


def test_sample_does_not_depend_on_its_batch():
    together = to_numpy(random.uniforms(5, np.arange(6, dtype="int32"), 2, (4, 4, 3)))
    alone = to_numpy(random.uniforms(5, np.array([4], "int32"), 2, (4, 4, 3)))
    np.testing.assert_array_equal(together[4:5], alone)
    assert len(np.unique(together.reshape(6, -1), axis=0)) == 6


def test_seeds_and_steps_give_different_numbers():
    indices = np.arange(2, dtype="int32")
    draws = [to_numpy(random.uniforms(seed, indices, step, (8,))) for seed, step in
             ((0, 0), (0, 1), (1, 0), (1, 1), (random.MAX_SEED, 0))]  # fmt: skip
    assert len(np.unique(np.concatenate(draws), axis=0)) == 10


def test_uniforms_are_uniform_and_independent():
    numbers = to_numpy(random.uniforms(11, np.arange(8, dtype="int32"), 0, (50, 50, 5)))
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    assert (numbers * 2**24 == np.floor(numbers * 2**24)).all()
    flat = numbers.reshape(-1)
    counts = np.histogram(flat, bins=64, range=(0.0, 1.0))[0]
    chi_square = ((counts - flat.size / 64) ** 2 / (flat.size / 64)).sum()
    # 63 degrees of freedom: 1 in 1000 honest generators falls below 33.9, 1 in 1000 above 103.4.
    assert 33.9 < chi_square < 103.4
    # Every one of the 24 bits is set half of the time (4 standard deviations).
    bits = (flat * 2**24).astype("uint32")[:, None] >> np.arange(24, dtype="uint32") & 1
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 4 * 0.5 / math.sqrt(flat.size)
    # Neighbours in position, in sample and between the two halves are uncorrelated.
    samples = numbers.reshape(8, -1) - 0.5
    pairs = (
        (samples[:, 1:], samples[:, :-1]),
        (samples[1:], samples[:-1]),
        (samples[:, :6250], samples[:, 6250:]),
    )
    for first, second in pairs:
        correlation = (first * second).mean() * 12
        assert abs(correlation) < 4 / math.sqrt(first.size)


def test_traced_seed_gives_the_eager_numbers_without_a_retrace():
    indices = np.arange(3, dtype="int32")
    compiled = compile_function(
        lambda seed, indices, step: random.uniforms(seed, indices, step, (2, 2, 3)), list
    )
    for seed, step in ((0, 0), (1, 5), (random.MAX_SEED, 2)):
        np.testing.assert_array_equal(
            to_numpy(compiled(seed, indices, step)),
            uniforms_with_uint32(seed, indices, step, (2, 2, 3)),
        )
    assert compiled.num_traces == (0 if keras.config.backend() == "torch" else 1)


def test_step_may_be_a_loop_variable():
    def total(seed):
        def add(step, numbers):
            return numbers + random.uniforms(seed, ops.arange(2, dtype="int32"), step, (4,))

        return ops.fori_loop(0, 5, add, ops.zeros((2, 4)))

    expected = sum(uniforms_with_uint32(9, (0, 1), step, (4,)) for step in range(5))
    received = check_eager_equals_compiled(total, 9)
    np.testing.assert_allclose(received, expected, rtol=1e-6)


def test_resolve_seed_accepts_the_whole_range():
    assert random.resolve_seed(0) == 0
    assert random.resolve_seed(np.int64(random.MAX_SEED)) == 2**31 - 1


@pytest.mark.parametrize("seed", [-1, 2**31, 1.0, "1", True, np.array([1])])
def test_resolve_seed_refuses(seed):
    with pytest.raises(ValueError, match=r"`seed`: received .*; expected .*\[0, 2147483647\].*Fix"):
        random.resolve_seed(seed)


def test_no_seed_is_reproducible_through_keras():
    keras.utils.set_random_seed(3)
    first = random.resolve_seed(None)
    second = random.resolve_seed(None)
    keras.utils.set_random_seed(3)
    assert random.resolve_seed(None) == first != second
