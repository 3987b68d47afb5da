import keras
import numpy as np
import pytest
from diffusion.published import MODELS, NUM_STEPS, PROBABILITY_TOLERANCE, as_grid, reference
from harness import (
    check_config,
    check_dtype_policies,
    check_eager_equals_compiled,
    check_keras_layer_of_several,
    check_keras_round_trip,
    to_numpy,
)
from hypothesis import given
from hypothesis import strategies as st
from small_models import random_codes

from keras_bld.diffusion import BernoulliNoiseSchedule
from keras_bld.diffusion.signal_levels import KINDS

once = pytest.mark.once  # NumPy alone: the backend does not matter


@once
@pytest.mark.parametrize("num_steps", [16, 64, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_published_schedules(kind, num_steps):
    published = reference(f"schedule/{kind}/{num_steps}")
    schedule = BernoulliNoiseSchedule(num_steps, kind)
    received = {"k": schedule.k, "b": schedule.b, "one_minus_beta": 1 - schedule.beta}
    for name, values in received.items():
        np.testing.assert_allclose(values, published[name], rtol=0, atol=PROBABILITY_TOLERANCE)


@once
def test_values_by_hand():
    linear = BernoulliNoiseSchedule(4)
    assert linear.k.tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert linear.b.tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    np.testing.assert_allclose(linear.beta, [0, 1 / 4, 1 / 3, 1 / 2, 1])
    np.testing.assert_allclose(BernoulliNoiseSchedule(2, "cos").k, [1, 0.5, 0])
    assert BernoulliNoiseSchedule(1, "sigmoid").k.tolist() == [1, 0]


def test_channel_log_odds_by_hand():
    """A bit is right with 7/8, 3/4, 5/8 and 1/2."""
    odds = BernoulliNoiseSchedule(4).channel_log_odds(np.array([1, 2, 3, 4, 1], "int32"))
    np.testing.assert_allclose(to_numpy(odds), np.log([7, 3, 5 / 3, 1, 7]), rtol=1e-6, atol=1e-7)


@once
@pytest.mark.parametrize("kind", KINDS)
@given(num_steps=st.integers(1, 200))
def test_single_steps_compose_to_the_closed_form(kind, num_steps):
    """Eq. 4 applied t times is Eq. 5, for the kernel k z + b of every step."""
    schedule = BernoulliNoiseSchedule(num_steps, kind)
    composed = [(1.0, 0.0)]
    for beta in schedule.beta[1:]:
        k, b = composed[-1]
        composed.append(((1 - beta) * k, (1 - beta) * b + beta / 2))
    stated = np.stack([schedule.k, schedule.b], axis=1)
    np.testing.assert_allclose(composed, stated, rtol=0, atol=1e-12)
    assert schedule.k[0] == 1 and abs(schedule.k[-1]) < 1e-12
    assert (np.diff(schedule.k) < 0).all()


@once
def test_custom_schedules_are_three_ways_to_say_the_same():
    k = [0.9, 0.4, 0.1, 0.001]
    beta = [0.1, 1 - 0.4 / 0.9, 1 - 0.1 / 0.4, 1 - 0.001 / 0.1]
    for schedule in (
        BernoulliNoiseSchedule(4, k=k),
        BernoulliNoiseSchedule(4, k=[1.0, *k]),
        BernoulliNoiseSchedule(4, beta=beta),
    ):
        np.testing.assert_allclose(schedule.k, [1, *k], rtol=1e-12)
        np.testing.assert_allclose(schedule.beta, [0, *beta], rtol=1e-12)


@once
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_training_steps": 0}, "`num_training_steps`: received 0"),
        ({"num_training_steps": 2.0}, "`num_training_steps`: received 2.0"),
        ({"kind": "quadratic"}, "`kind`: received 'quadratic'"),
        ({"k": [0.5, 0.2, 0.0], "beta": [0.5, 0.5, 1.0]}, "`k`: received both k and beta"),
        ({"k": [0.5, 0.0]}, "`k`: received 2 values"),
        ({"k": [0.9, 0.5, 0.2, 0.0]}, "`k`: received 4 values starting with 0.9"),
        ({"k": [0.2, 0.5, 0.0]}, "not strictly falling"),
        ({"k": [0.5, 0.5, 0.0]}, "not strictly falling"),
        ({"k": [1.0, 0.5, 0.0]}, "not strictly falling"),
        ({"k": [0.5, np.nan, 0.0]}, "not strictly falling"),
        ({"k": [0.8, 0.4, 0.02]}, "from 1 to 0.02"),
        ({"k": [0.8, 0.4, -0.1]}, "from 1 to -0.1"),
        ({"beta": [0.5, 1.0]}, "`beta`: received 2 values"),
        ({"beta": [0.5, 0.0, 1.0]}, r"`beta`: .* \(not strictly falling"),
        ({"beta": [-0.5, 0.5, 1.0]}, r"`beta`: .* \(not strictly falling"),
        ({"beta": [0.1, 0.1, 0.1]}, r"`beta`: .* to 0.729 \(falling\)"),
        ({"beta": [0.5, 0.5, 1.5]}, "`beta`: .* from 1 to -0.125"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        BernoulliNoiseSchedule(**{"num_training_steps": 3, **arguments})


@pytest.mark.parametrize("name", MODELS)
def test_explicit_noise_gives_the_published_codes(name):
    published = reference(name)
    received = BernoulliNoiseSchedule(NUM_STEPS)(
        as_grid(published["x0"]), published["t"], noise=as_grid(published["u"])
    )
    np.testing.assert_array_equal(to_numpy(received), as_grid(published["xt"]))


def test_own_noise_has_the_stated_shares_and_changes_from_call_to_call():
    schedule = BernoulliNoiseSchedule(8)
    codes = np.concatenate([np.zeros((1, 60, 60, 8)), np.ones((1, 60, 60, 8))])
    for t in (1, 4, 8):
        first, second = (to_numpy(schedule(codes, np.array([t, t]))) for _ in range(2))
        assert (first != second).any()
        shares = [schedule.b[t], schedule.k[t] + schedule.b[t]]
        # Five standard errors of 28,800 coin flips.
        np.testing.assert_allclose(first.mean(axis=(1, 2, 3)), shares, atol=5 * 0.5 / 28800**0.5)


def test_set_random_seed_repeats_the_layers_noise():
    def diffuse():
        keras.utils.set_random_seed(3)
        return to_numpy(BernoulliNoiseSchedule(8)(random_codes(2), np.array([5, 8])))

    np.testing.assert_array_equal(diffuse(), diffuse())


def test_eager_equals_compiled_and_stays_float32():
    schedule = BernoulliNoiseSchedule(8, "cos")
    codes, noise = random_codes(3), np.random.default_rng(1).random((3, 2, 2, 4), "float32")
    arrays = (codes, np.array([1, 5, 8], "int32"), noise)
    check_eager_equals_compiled(schedule, *arrays)
    outputs = check_dtype_policies(
        lambda: lambda inputs: BernoulliNoiseSchedule(8, "cos")(*inputs), arrays, dtype="float32"
    )
    for policy in outputs:
        np.testing.assert_array_equal(outputs[policy], outputs["float32"], policy)


@pytest.mark.parametrize(
    "schedule",
    [
        BernoulliNoiseSchedule(3, "sigmoid"),
        BernoulliNoiseSchedule(3, k=(0.5, 0.25, 0.0)),
        BernoulliNoiseSchedule(3, beta=np.array([0.1, 0.5, 0.999])),
    ],
)
def test_config_rebuilds_the_schedule(schedule):
    rebuilt = check_config(BernoulliNoiseSchedule, schedule)
    np.testing.assert_array_equal(rebuilt.k, schedule.k)


def test_round_trip_in_a_keras_file():
    codes, noise = random_codes(3), np.random.default_rng(1).random((3, 2, 2, 4), "float32")
    inputs = [codes, np.array([1, 2, 3], "int32"), noise]
    symbolic = [keras.Input(array.shape[1:], dtype=str(array.dtype)) for array in inputs]
    diffused = BernoulliNoiseSchedule(3, k=[0.6, 0.3, 0.0])(*symbolic)
    check_keras_round_trip(keras.Model(symbolic, diffused), inputs)


def test_keras_own_checks():
    """Also in float16, where the symbolic output once was float16 and the codes are float32."""
    check_keras_layer_of_several(BernoulliNoiseSchedule(8), random_codes(2), np.array([1, 8]))
