import keras
import numpy as np
import pytest
from keras import ops

from keras_bld.base import replicas


@pytest.fixture
def as_replica(monkeypatch):
    """Callable (index, count): what a step on this replica is told; sums are those of `parts`."""

    def set_replica(index, count, parts=None):
        monkeypatch.setattr(replicas, "replica", lambda: (index, count))
        monkeypatch.setattr(replicas, "sum_over_replicas", lambda x: sum(parts))

    return set_replica


@pytest.mark.parametrize(
    "draw",
    [
        lambda seed, rows: replicas.uniform((rows, 3), seed),
        lambda seed, rows: replicas.normal((rows, 3), seed),
        lambda seed, rows: replicas.integers((rows, 3), 1, 100, seed),
        lambda seed, rows: ops.transpose(replicas.uniform((3, rows), seed, axis=1)),
    ],
)
def test_replicas_together_draw_what_one_device_draws(draw, as_replica):
    whole = ops.convert_to_numpy(draw(keras.random.SeedGenerator(5), 6))
    parts = []
    for index in range(3):
        as_replica(index, 3)
        parts.append(ops.convert_to_numpy(draw(keras.random.SeedGenerator(5), 2)))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert len(np.unique(whole)) > 9


def test_row_numbers_are_positions_in_the_whole_batch(as_replica):
    assert ops.convert_to_numpy(replicas.row_numbers(3)).tolist() == [0, 1, 2]
    as_replica(2, 4)
    assert ops.convert_to_numpy(replicas.row_numbers(3)).tolist() == [6, 7, 8]


def test_sums_means_and_shares(as_replica):
    assert replicas.num_replicas() == 1 and not replicas.will_be_replicated()
    assert [f(3.0) for f in (replicas.total, replicas.mean, replicas.part_of_loss)] == [3.0] * 3
    as_replica(0, 2, parts=[3.0, 5.0])
    assert replicas.total(3.0) == 8.0 and replicas.mean(3.0) == 4.0
    assert replicas.part_of_loss(3.0) == 1.5 and replicas.num_replicas() == 2
