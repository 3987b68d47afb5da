import keras
import numpy as np
import pytest
from keras import ops

from keras_bld.base.array_operations import NUMPY_OPERATIONS, as_array, operations_of
from keras_bld.base.random import uniforms
from keras_bld.diffusion import BernoulliNoiseSchedule
from keras_bld.diffusion.posterior import POSTERIORS, transition_tables
from keras_bld.diffusion.reverse_step import flip_predictor, reverse_step
from keras_bld.diffusion.targets import TARGETS


def test_arrays_get_numpy_and_tensors_keras():
    assert operations_of(np.zeros(2)) is NUMPY_OPERATIONS
    assert operations_of(ops.zeros(2)) is keras.ops
    for value in ([1.0, 2.0], np.array([1.0, 2.0]), ops.convert_to_tensor([1.0, 2.0])):
        np.testing.assert_array_equal(as_array(value), [1.0, 2.0])


def test_the_noise_is_the_same_on_arrays():
    """Also with a seed and a step of its own for each sample."""
    seeds, steps = np.array([[3], [2**31 - 1]], "int32"), np.array([[0], [9]], "int32")
    indices = np.array([5, 2**31 - 1], "int32")
    made = uniforms(seeds, indices, steps, (3, 5))
    assert isinstance(made, np.ndarray) and made.dtype == np.float32
    for row in range(2):
        one = uniforms(
            int(seeds[row, 0]), ops.convert_to_tensor(indices[row : row + 1]), int(steps[row, 0]),
            (3, 5),
        )  # fmt: skip
        np.testing.assert_array_equal(made[row : row + 1], as_array(one))


@pytest.mark.parametrize("target", TARGETS)
def test_a_reverse_step_is_the_same_on_arrays(target):
    generator = np.random.default_rng(0)
    schedule = BernoulliNoiseSchedule(8)
    codes = generator.integers(0, 2, (4, 2, 2, 3)).astype("float32")
    logits = generator.normal(0, 30, codes.shape).astype("float32")
    noise = generator.random(codes.shape, "float32")
    known = codes[::-1].copy(), (noise > 0.7).astype("float32")
    (table,) = transition_tables(schedule.k, np.array([5]), np.array([3]))

    class OnArrays:
        def channel_log_odds(self, time_steps):
            return as_array(schedule.channel_log_odds(ops.convert_to_tensor(time_steps)))

    def step(codes, logits, noise, known, schedule, time_steps, posterior):
        predict = flip_predictor(lambda *_: logits, target, schedule, 0.7, "extrinsic")
        flip = predict(codes, time_steps)
        return flip, reverse_step(codes, flip, list(table), noise, target, posterior, known)

    time_steps = np.full(4, 5, "int32")
    tensors = [ops.convert_to_tensor(array) for array in (codes, logits, noise)]
    known_tensors = tuple(map(ops.convert_to_tensor, known))
    for posterior in POSTERIORS:
        found = step(codes, logits, noise, known, OnArrays(), time_steps, posterior)
        expected = step(
            *tensors, known_tensors, schedule, ops.convert_to_tensor(time_steps), posterior
        )
        assert all(isinstance(array, np.ndarray) for array in found)
        np.testing.assert_allclose(found[0], as_array(expected[0]), rtol=1e-5, atol=1e-30)
        np.testing.assert_array_equal(found[1], as_array(expected[1]))
