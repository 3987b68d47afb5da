"""Schedules that are learned. What the steps between two patterns with noise cost is enumerated."""

import itertools
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import (
    CODE_SHAPE,
    LinearDenoiser,
    StubDenoiser,
    compiled_model,
    log_odds,
    striped_codes,
    tiny_denoiser,
    tiny_model,
)

from keras_bld import zoo
from keras_bld.base.backend import backend_name
from keras_bld.base.fitting.checkpoints import CheckpointPolicy
from keras_bld.base.fitting.resuming import fit_resumably
from keras_bld.diffusion import BernoulliNoiseSchedule, fit_time_grid
from keras_bld.diffusion.learned_levels import LearnedLevels
from keras_bld.diffusion.time_grid import step_costs
from keras_bld.presets.fingerprint import generator_fingerprint

once = pytest.mark.once
NUM_BITS, NOISE = 16, 0.02  # of a code that is 0...0 or 1...1 with such a share of flips


def entropy(p):
    p = np.clip(p, 1e-300, 1.0)
    return -p * np.log(p) - (1 - p) * np.log(np.maximum(1 - p, 1e-300))


def cost_by_hand(k, t, s):
    """What the step t -> s costs a perfect network, nats per bit, over all numbers of ones."""
    ones = np.arange(NUM_BITS + 1)
    ways = np.array([math.comb(NUM_BITS, number) for number in ones])
    wrong = NOISE * (1 + k[t]) / 2 + (1 - NOISE) * (1 - k[t]) / 2  # z^t is not the pattern's
    by_pattern = np.array([wrong**ones * (1 - wrong) ** (NUM_BITS - ones)])
    by_pattern = np.concatenate([by_pattern, by_pattern[:, ::-1]]) / 2  # of 0...0, of 1...1
    chance = ways * by_pattern.sum(axis=0)
    pattern = by_pattern / by_pattern.sum(axis=0)
    # P(z^0 != z^t), of a bit that agrees with the pattern, or not.
    agrees = NOISE * (1 - k[t]) / 2 / (1 - wrong)
    differs = (1 - NOISE) * (1 - k[t]) / 2 / wrong
    total = 0.0
    for flip, share in (
        (pattern[0] * agrees + pattern[1] * differs, 1 - ones / NUM_BITS),  # z^t = 0
        (pattern[1] * agrees + pattern[0] * differs, ones / NUM_BITS),
    ):
        keep = k[t] / k[s]
        same = (1 - keep) * (1 - k[s]) / (2 * (1 + k[t]))
        different = (1 - keep) * (1 + k[s]) / (2 * (1 - k[t]))
        known = flip * entropy(different) + (1 - flip) * entropy(same)
        total += (chance * share * (entropy(same + (different - same) * flip) - known)).sum()
    return total


def excess_of(k):
    """By how much the bound of a perfect network is above the bits that a code has."""
    bound = sum(cost_by_hand(k, t, t - 1) for t in range(1, len(k)))
    ones = np.arange(NUM_BITS + 1)
    chance = NOISE**ones * (1 - NOISE) ** (NUM_BITS - ones)
    chance = (chance + chance[::-1]) / 2
    ways = np.array([math.comb(NUM_BITS, number) for number in ones])
    return bound - (ways * -chance * np.log(chance)).sum() / NUM_BITS


def after_updates(levels, num_updates, images_per_step=4):
    """Levels that learned from a perfect network."""
    total = levels.num_training_steps
    steps = np.arange(1, total + 1)
    for _ in range(num_updates):
        k = levels.array()
        costs = [
            np.array([cost_by_hand(k, t, max(t - stride, 0)) for t in steps], "float32")
            for stride in (1, levels.stride)
        ]
        levels.update(*(np.repeat(x, images_per_step) for x in (steps.astype("int32"), *costs)))
    return levels


def test_comes_close_to_the_best_schedule():
    optimize = pytest.importorskip("scipy.optimize")
    linear = np.linspace(1, 0, 13)

    def falling(logits):
        steps = np.exp(logits - logits.max())
        return np.concatenate([[1.0], 1 - np.cumsum(steps / steps.sum())[:-1], [0.0]])

    best = optimize.minimize(lambda x: excess_of(falling(x)), np.zeros(12), method="BFGS").fun
    learned = after_updates(LearnedLevels(linear), 150).array()
    assert 0 < best < 0.8 * excess_of(linear)
    assert excess_of(learned) < 1.03 * best


def perfect_model(schedule):
    """The network that knows the two patterns: logits of z^0."""
    wrong = NOISE * (1 + schedule.k) / 2 + (1 - NOISE) * (1 - schedule.k) / 2

    def logits(codes, time_steps):
        def of_time(values):
            return keras.ops.take(np.asarray(values, "float32"), time_steps)[:, None, None, None]

        ones = keras.ops.sum(codes, axis=(1, 2, 3), keepdims=True)
        of_ones = keras.ops.sigmoid((2 * ones - NUM_BITS) * of_time(log_odds(1 - wrong)))
        # P(the bit of z^0 is the pattern's), where that of z^t is, and where it is not.
        agrees = of_time((1 - NOISE) * (1 + schedule.k) / 2 / (1 - wrong))
        differs = of_time((1 - NOISE) * (1 - schedule.k) / 2 / wrong)
        one = codes * agrees + (1 - codes) * differs
        zero = (1 - codes) * agrees + codes * differs
        found = of_ones * one + (1 - of_ones) * (1 - zero)
        return keras.ops.log(found) - keras.ops.log1p(-found)

    return tiny_model(StubDenoiser(logits), schedule, target="z0")


@once
def test_costs_by_hand_are_those_of_a_perfect_model():
    schedule = BernoulliNoiseSchedule(8)
    steps = np.array([1, 2, 5, 8])
    codes = equal_bits(2000)
    costs = step_costs(perfect_model(schedule), codes, None, steps, seed=1, batch_size=500)
    for row, column in itertools.combinations_with_replacement(range(4), 2):
        by_hand = cost_by_hand(schedule.k, steps[column], [0, *steps][row])
        assert costs[column, row] == pytest.approx(by_hand, rel=0.1)


@once
@pytest.mark.parametrize("total", [2, 24])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), scale=st.floats(1e-6, 1e3))
def test_whatever_it_costs_the_levels_fall_from_1_to_the_last(total, seed, scale):
    random = np.random.default_rng(seed)
    last = random.choice([0.0, 0.01])
    levels = LearnedLevels(np.linspace(1, last, total + 1))
    for _ in range(10):
        steps = random.integers(1, total + 1, 64 * total).astype("int32")
        single, longer = (random.normal(0, scale, (2, len(steps)))).astype("float32")
        levels.update(steps, single, longer)
    k = levels.array()
    assert k[0] == 1 and k[-1] == np.float32(last) and (np.diff(k) < 0).all()
    # A schedule takes them, and the tensor is the same numbers.
    np.testing.assert_array_equal(BernoulliNoiseSchedule(total, k=k).k, k)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(levels.levels()), k)


@once
def test_numbers_that_are_not_finite_teach_nothing():
    levels = after_updates(LearnedLevels(np.linspace(1, 0, 5)), 20)
    before = [np.array(weight) for weight in levels.get_weights()]
    levels.update(np.array([1, 2], "int32"), *np.array([[np.nan, 1], [1, np.inf]], "float32"))
    for weight, value in zip(levels.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def learned_model(**options):
    schedule = BernoulliNoiseSchedule(8, "learned")
    return compiled_model(1e-2, schedule=schedule, target="extrinsic", **options)


def equal_bits(count, seed=0):
    """Codes whose bits are all the same, but for noise: steps that are too long cost much."""
    random = np.random.default_rng(seed)
    pattern = random.integers(0, 2, (count, 1, 1, 1))
    return abs(pattern - (random.random((count, *CODE_SHAPE)) < NOISE)).astype("float32")


def test_fit_moves_the_levels_and_evaluate_does_not():
    model, codes = learned_model(denoiser=tiny_denoiser()), equal_bits(256)
    linear = model.schedule.k
    np.testing.assert_array_equal(linear, np.linspace(1, 0, 9))
    model.fit(codes[:128], batch_size=128, epochs=3, verbose=0)
    np.testing.assert_array_equal(model.schedule.k, linear)  # has seen 48 images for each t
    model.fit(codes, batch_size=128, epochs=10, verbose=0)
    k = model.schedule.k
    assert k[0] == 1 and k[-1] == 0 and (np.diff(k) < 0).all() and abs(k - linear).max() > 1e-3
    model.evaluate(codes, verbose=0)
    np.testing.assert_array_equal(model.schedule.k, k)
    model.schedule.trainable = False
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(codes, batch_size=128, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.schedule.k, k)


def test_all_that_was_compiled_follows():
    """A trained model makes what one makes that has these levels from the start."""
    model, codes = learned_model(), equal_bits(128)

    def made(of):
        grid = fit_time_grid(of, codes, 3, num_codes=16, progress=False)
        bounds = of.likelihood(codes[:8], progress=False)["bits_per_dimension"]
        return [of.generate_codes(8, seed=1), of.generate_codes(8, seed=1, num_steps=4), bounds,
                np.array([*grid.time_steps, grid.bits_per_dimension])]  # fmt: skip

    before = made(model)
    model.fit(codes, batch_size=128, epochs=20, verbose=0)
    fixed = tiny_model(
        model.denoiser, BernoulliNoiseSchedule(8, k=model.schedule.k), target="extrinsic"
    )
    traces = model.num_traces
    for found, old, expected in zip(made(model), before, made(fixed), strict=True):
        # Codes are the same; costs, whose tables are in float32, but for rounding.
        np.testing.assert_allclose(found, expected, rtol=0 if found.ndim == 4 else 1e-6)
        assert (found != old).any()
    assert model.num_traces == traces * 2
    made(model)
    assert model.num_traces == traces * 2


class Killed(Exception):
    """By the callback below."""


class KillAt(keras.callbacks.Callback):
    async_safe = True

    def __init__(self, num_steps):
        super().__init__()
        self.left = num_steps

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise Killed


def test_a_run_that_was_killed_ends_bit_for_bit(tmp_path):
    def run(folder, **options):
        keras.utils.set_random_seed(1)
        model = learned_model()
        fit_resumably(
            model,
            lambda start: (striped_codes(128, number) for number in itertools.count(start)),
            tmp_path / folder, 12, 6, CheckpointPolicy(minutes=1e-9), **options,
        )  # fmt: skip
        return model

    whole = run("whole")
    for num_steps in (5, 4):  # 16 images of each t in a step: in the midst of learning
        with pytest.raises(Killed):
            run("parts", callbacks=[KillAt(num_steps)])
    parts = run("parts")
    assert abs(whole.schedule.k - np.linspace(1, 0, 9)).max() > 1e-4
    for first, second in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.fixture
def trained():
    model = learned_model(denoiser=tiny_denoiser())
    model.fit(equal_bits(128), batch_size=128, epochs=15, verbose=0)
    return model


@pytest.mark.parametrize("kind", ["preset", "preset in float16", "keras file", "config"])
def test_round_trip(trained, tmp_path, kind):
    if kind == "keras file":
        trained.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    elif kind == "config":
        loaded = type(trained).from_config(trained.get_config())
    else:
        dtype = "float16" if "float16" in kind else None
        zoo.save_preset(trained, tmp_path / "preset", dtype=dtype)
        loaded = zoo.load_preset(tmp_path / "preset")
    assert loaded.schedule.kind == "learned" and loaded.schedule.learns
    np.testing.assert_array_equal(loaded.schedule.k, trained.schedule.k)
    if kind in ("preset", "keras file"):
        assert generator_fingerprint(loaded) == generator_fingerprint(trained)
        np.testing.assert_array_equal(
            loaded.generate_codes(4, seed=2), trained.generate_codes(4, seed=2)
        )


def test_weights_alone_hold_the_levels(trained, tmp_path):
    trained.save_weights(tmp_path / "model.weights.h5")
    loaded = tiny_model(schedule=BernoulliNoiseSchedule(8, "learned"))
    loaded.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(loaded.schedule.k, trained.schedule.k)


@pytest.mark.skipif(backend_name() != "tensorflow", reason="a graph of TensorFlow")
def test_a_graph_to_export_holds_the_levels_as_constants(trained):
    import tensorflow as tf

    sample = trained.sampler_function(trained.sampling, 2)
    graph = tf.function(sample).get_concrete_function(
        seed=tf.constant(1), first_index=tf.constant(0)
    )
    captured = {id(variable) for variable in graph.variables}
    assert captured <= {id(variable.value) for variable in trained.denoiser.variables}


@once
def test_refuses():
    for arguments, message in (
        ((1, "learned"), r"`num_training_steps`: received 1; expected .* \[2, 1024\]"),
        ((1025, "learned"), r"`num_training_steps`: received 1025"),
    ):
        with pytest.raises(ValueError, match=message):
            BernoulliNoiseSchedule(*arguments)
    with pytest.raises(ValueError, match="`schedule`: received kind='learned' with target 'prev"):
        tiny_model(LinearDenoiser(), BernoulliNoiseSchedule(8, "learned"), target="previous")


@once
def test_begins_with_levels_of_ones_own():
    cos = BernoulliNoiseSchedule(8, "cos")
    schedule = BernoulliNoiseSchedule(8, "learned", k=cos.k)
    np.testing.assert_allclose(schedule.k, cos.k, rtol=1e-6)
    assert repr(schedule).endswith("learned, T = 8>")
