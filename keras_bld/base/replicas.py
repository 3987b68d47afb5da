"""Replicas: what a training step is to know where it is one of several on parts of a batch.

TensorFlow's strategies (`tf.distribute`) run a step once on each device, with a part of the batch
for each. Random numbers, sums and means here are those of the whole batch, so that a step is the
same on one device and on many. JAX's arrays are whole wherever they lie, and torch has one device:
there every function here is the plain one.
"""

import keras
from keras import ops

from keras_bld.base.backend import replica, strategy_size, sum_over_replicas


def uniform(shape, seed, axis=0):
    """Uniform numbers in [0, 1), float32: those of the whole batch, the rows of this replica.

    Args:
        shape: of this replica's numbers.
        seed: `keras.random.SeedGenerator`, in the same state on all replicas.
        axis: that of the batch.
    """
    return _own_rows(
        lambda whole: keras.random.uniform(whole, dtype="float32", seed=seed), shape, axis
    )


def normal(shape, seed, axis=0):
    """Normal numbers, otherwise as `uniform`."""
    return _own_rows(
        lambda whole: keras.random.normal(whole, dtype="float32", seed=seed), shape, axis
    )


def integers(shape, low, high, seed, axis=0):
    """Integers in [low, high), int32, otherwise as `uniform`."""
    return _own_rows(
        lambda whole: keras.random.randint(whole, low, high, "int32", seed=seed), shape, axis
    )


def row_numbers(num_rows):
    """Positions in the whole batch of this replica's rows, int32 (num_rows,)."""
    index, _ = replica()
    return ops.arange(num_rows, dtype="int32") + index * num_rows


def total(x):
    """Sum of a tensor over all replicas, with its gradient."""
    return sum_over_replicas(x)


def mean(x):
    """Mean of a tensor over all replicas, with its gradient."""
    _, count = replica()
    return x if count == 1 else sum_over_replicas(x) / count


def num_replicas():
    """How many parts the batch of this step has."""
    return replica()[1]


def will_be_replicated():
    """Whether steps of models that are built now run on several replicas: within such a scope."""
    return strategy_size() > 1


def part_of_loss(loss):
    """What a replica adds to the loss of the whole batch, the mean of which over its part is given.

    Keras adds up the gradients of all replicas.
    """
    _, count = replica()
    return loss if count == 1 else loss / count


def _own_rows(draw, shape, axis):
    index, count = replica()
    if count == 1:
        return draw(shape)
    rows = shape[axis]
    whole = (*shape[:axis], rows * count, *shape[axis + 1 :])
    return ops.take(draw(whole), ops.arange(rows, dtype="int32") + index * rows, axis=axis)
