import keras
import numpy as np
import pytest
from autoencoder.differentiation import gradient_of
from harness import check_config, check_keras_layer, check_keras_round_trip, to_numpy
from keras import ops

from keras_bld.autoencoder import BernoulliStraightThrough, straight_through

DTYPES = ("float32", "bfloat16", "float16")


def as_tensor(array, dtype):
    return ops.cast(ops.convert_to_tensor(np.asarray(array, "float32")), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_forward_value_is_exact(dtype):
    # In float16, (1 + p) - p is not 1 for most p; the order of Eq. 1 as printed would fail here.
    p = as_tensor(np.random.default_rng(0).uniform(size=(64, 64)), dtype)
    ones = straight_through(ops.ones_like(p), p)
    assert to_numpy(ops.cast(ones, "float32")).min() == 1.0
    assert to_numpy(ops.cast(ones, "float32")).max() == 1.0


@pytest.mark.parametrize("policy", DTYPES)
def test_output_follows_the_policy_and_is_exactly_zero_or_one(policy):
    p = np.random.default_rng(0).uniform(size=(64, 64)).astype("float32")
    layer = BernoulliStraightThrough(dtype=policy)
    for bits in (layer(p), layer(p, training=True)):
        assert keras.backend.standardize_dtype(bits.dtype) == policy
        values = to_numpy(ops.cast(bits, "float32"))
        assert set(np.unique(values)) == {0.0, 1.0}
    # Compared in float32: the nearest numbers above 0.5 would round to it.
    assert to_numpy(ops.cast(layer(np.float32([0.5, 0.5001])), "float32")).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", (False, True))
def test_gradient_is_copied(dtype, training):
    layer = BernoulliStraightThrough(dtype=dtype)
    weights = np.array([[1.0, -2.0, 0.5]], "float32")

    def weighted_sum(p):
        bits = layer(ops.cast(p, dtype), training=training)
        return ops.sum(ops.multiply(ops.cast(bits, "float32"), weights))

    (gradient,) = gradient_of(weighted_sum, np.array([[0.1, 0.5, 0.9]], "float32"))
    np.testing.assert_array_equal(gradient, weights)


def probability_of(bits, p):
    return np.prod(np.where(bits == 1, p, 1 - p))


def test_reinmax_is_exact_on_average_for_what_is_quadratic_in_each_bit():
    # Enumerated: each of the 8 draws, its gradient weighted with its probability.
    layer = BernoulliStraightThrough(gradient="reinmax")
    p = np.array([0.1, 0.5, 0.85], "float32")

    def cost(bits):
        a, b, c = bits[0], bits[1], bits[2]
        return a * a * b + 3.0 * b * b - a * c * c + 3.0 * a * b * c

    draws = [np.array(draw, "float32") for draw in np.ndindex(2, 2, 2)]
    copied, received, expected = np.zeros(3), np.zeros(3), np.zeros(3)
    plain = BernoulliStraightThrough()
    for draw in draws:
        noise = np.where(draw == 1, 0.0, 0.999).astype("float32")
        share = probability_of(draw, p)
        for estimate, of in ((received, layer), (copied, plain)):
            (gradient,) = gradient_of(
                lambda p, of=of, noise=noise: cost(of(p, deterministic=False, noise=noise)), p
            )
            estimate += share * gradient
        for i in range(3):
            ones, zeros = draw.copy(), draw.copy()
            ones[i], zeros[i] = 1, 0
            expected[i] += share * (float(cost(ones)) - float(cost(zeros)))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(copied - expected).max() > 0.1


def test_reinmax_copies_the_gradient_of_thresholded_bits_and_stays_finite():
    layer = BernoulliStraightThrough(gradient="reinmax")
    p = np.array([0.0, 1e-30, 0.3, 1.0], "float32")
    (gradient,) = gradient_of(lambda p: ops.sum(layer(p)), p)
    np.testing.assert_array_equal(gradient, np.ones(4))
    noise = np.zeros(4, "float32")
    (gradient,) = gradient_of(lambda p: ops.sum(layer(p, training=True, noise=noise)), p)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[2:], [0.5 / 0.3, 0.5], rtol=1e-5)


def test_a_gradient_that_there_is_not():
    with pytest.raises(ValueError, match="gradient.*'copy'.*'straight_through', 'reinmax'"):
        BernoulliStraightThrough(gradient="copy")


def test_threshold_and_explicit_noise():
    layer = BernoulliStraightThrough()
    p = np.array([0.0, 0.3, 0.5, 0.5001, 1.0], "float32")
    assert to_numpy(layer(p)).tolist() == [0, 0, 0, 1, 1]
    assert to_numpy(layer(p, training=True, deterministic=True)).tolist() == [0, 0, 0, 1, 1]
    noise = np.array([0.0, 0.29, 0.5, 0.9, 0.999], "float32")
    assert to_numpy(layer(p, deterministic=False, noise=noise)).tolist() == [0, 1, 0, 0, 1]


def test_own_samples_follow_the_probabilities_and_differ_from_call_to_call():
    layer = BernoulliStraightThrough(seed=0)
    p = np.full((20_000,), 0.3, "float32")
    first, second = to_numpy(layer(p, training=True)), to_numpy(layer(p, training=True))
    assert abs(first.mean() - 0.3) < 0.02  # six standard deviations
    assert (first != second).any()


def test_saving():
    check_config(BernoulliStraightThrough, BernoulliStraightThrough(3, gradient="reinmax"))
    check_keras_round_trip(BernoulliStraightThrough(), np.full((2, 3), 0.7, "float32"))


def test_keras_takes_it_for_one_of_its_layers():
    layer = BernoulliStraightThrough(seed=1)
    check_keras_layer(layer, np.full((2, 3), 0.7, "float32"))
