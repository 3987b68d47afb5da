"""Signal levels that are learned: as many steps go where the steps between them cost more."""

import keras
import numpy as np
from keras import ops

from keras_bld.base import replicas
from keras_bld.base.backend import whole_array

MOST_STEPS = 1024  # for there are T x T numbers in each training step
_STEPS_OF_A_CHAIN = 16  # that skips: what its steps cost more is what is made even
_FEWEST_IMAGES = 50.0  # that each time step has seen before a level moves, in the mean
_MOST_IMAGES = 10_000.0  # that are counted
_MEMORY = 0.25  # the last so much of the images seen makes up a mean
_PACE = 2.0
_EVEN = 0.05  # of the steps of equal size that there always are


class LearnedLevels(keras.layers.Layer):
    """The levels k_0 ... k_T of `BernoulliNoiseSchedule(kind="learned")`, which training moves.

    With ever smaller steps the variational bound no longer depends on the schedule (Kingma et al.,
    "Variational Diffusion Models", 2021). A step t -> t - 2 costs more than t -> t - 1 -> t - 2,
    because all bits of z^s are drawn as if they were independent given z^t; this excess grows with
    the square of the step. The sum of the excesses of T steps is least where all of them are equal.
    So each training step also measures what a step of T / 16 costs, and the single steps in its
    place; the levels move to where the excess would be spread evenly. That is the time warping of
    Dieleman et al. ("Continuous diffusion for categorical data", 2022), with the part of the bound
    that depends on the schedule in place of the loss.

    All state is in weights, which are not trained by the optimizer. How fast levels move, and how
    many images a mean is made of, are shares of the images seen so far. Nothing depends on epochs
    or on the length of the training. `trainable = False` keeps the levels as they are.

    Args:
        start: levels to begin with, k_0 = 1 ... k_T, falling; T from 2 to 1024.
    """

    def __init__(self, start, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        start = np.asarray(start, "float32")
        self.num_training_steps = total = len(start) - 1
        self._last = float(start[-1])
        # As they are in all replicas.
        options = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.inner = self.add_weight(
            name="levels",
            shape=(total - 1,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(start[1:-1], dtype),
            **options,
        )
        self.costs = self.add_weight(name="costs", shape=(total, 2), initializer="zeros", **options)
        self.seen = self.add_weight(name="seen", shape=(total, 1), initializer="zeros", **options)
        self.built = True

    @property
    def stride(self):
        """Time steps of the longer of the two steps that are compared."""
        return max(2, self.num_training_steps // _STEPS_OF_A_CHAIN)

    def levels(self):
        """k_0 ... k_T as a float32 tensor: in a training step, the values of this step."""
        inner = ops.convert_to_tensor(self.inner)
        first, last = ops.ones((1,)), ops.full((1,), self._last, "float32")
        return ops.concatenate([first, inner, last])

    def array(self):
        """k_0 ... k_T as a float64 array, the same numbers."""
        return np.concatenate([[1.0], whole_array(self.inner), [self._last]]).astype("float64")

    def update(self, time_steps, single, longer):
        """Take the costs of a batch into account.

        Args:
            time_steps: t in 1 ... T, (batch,).
            single, longer: what the steps t -> t - 1 and t -> max(t - stride, 0) cost in the bound,
                nats per bit, (batch,).
        """
        rows = ops.one_hot(time_steps - 1, self.num_training_steps, dtype="float32")
        columns = ops.stack([single, longer, ops.ones_like(single)], axis=-1)
        sums = ops.matmul(ops.transpose(rows), ops.stop_gradient(columns))
        sums = replicas.total(sums)
        count = sums[:, 2:]
        share = count / ops.maximum(count + _MEMORY * self.seen, 1.0)
        mean = sums[:, :2] / ops.maximum(count, 1.0)
        costs = self.costs + share * (mean - self.costs)
        seen = ops.minimum(self.seen + count, _MOST_IMAGES)
        per_step = ops.mean(seen)
        pace = ops.minimum(_PACE * ops.mean(count) / ops.maximum(per_step, 1.0), 1.0)
        pace = ops.where(per_step < _FEWEST_IMAGES, 0.0, pace)
        inner = self.inner + pace * (self._aim(costs) - self.inner)
        # A step that overflowed, which a scaled loss leaves out, teaches nothing.
        is_finite = ops.all(ops.isfinite(sums))
        for weight, value in ((self.costs, costs), (self.seen, seen), (self.inner, inner)):
            weight.assign(ops.where(is_finite, value, ops.convert_to_tensor(weight)))

    def _aim(self, costs):
        """Where k_1 ... k_{T - 1} would be if the excess were spread evenly, (T - 1,)."""
        total, stride = self.num_training_steps, self.stride
        step, interval = np.arange(total)[:, None], np.arange(total)[None]
        is_within = (interval <= step) & (interval > step - stride)
        spanned = np.minimum(np.arange(total) + 1, stride)
        # Of n single steps of equal excess, the one in their place has n (n - 1) / 2 times that.
        pairs = is_within.T @ (spanned * (spanned - 1) / 2)
        is_within = ops.convert_to_tensor(is_within, "float32")
        excess = costs[:, 1] - ops.matmul(is_within, costs[:, 0])
        excess = ops.matmul(ops.transpose(is_within), excess)
        excess = excess / ops.convert_to_tensor(pairs, "float32")
        weight = ops.sqrt(ops.maximum(excess, 0.0)) + 1e-12
        weight = weight / ops.sum(weight)
        # Time in which the excess is even: where on it each interval begins.
        begins = ops.cumsum(weight) - weight
        wanted = ops.convert_to_tensor(np.arange(1, total) / total, "float32")[:, None]
        passed = ops.clip((wanted - begins) / weight, 0.0, 1.0)  # (T - 1, T)
        levels = self.levels()
        aim = 1.0 - ops.matmul(passed, levels[:-1] - levels[1:])
        return (1.0 - _EVEN) * aim + _EVEN * (1.0 - (1.0 - self._last) * wanted[:, 0])

    def load_own_variables(self, store):
        """Load; from a file in half precision, the levels are those of the config, in full."""
        before = whole_array(self.inner)
        super().load_own_variables(store)
        if np.array_equal(before.astype("float16"), whole_array(self.inner)):
            self.inner.assign(before)
