import numpy as np
import pytest
from harness import check_dtype_policies, check_keras_layer, to_numpy

from keras_bld.diffusion.embeddings import TimeEmbedding, sine_position_table


@pytest.mark.once
def test_sine_position_table_by_hand():
    table = sine_position_table(2, 3, 8)
    assert table.shape == (1, 6, 8) and table.dtype == np.float32
    # Row 1, column 2 of the grid; frequencies 1 and 1 / 100; columns first, then rows.
    expected = [np.sin(2), np.sin(0.02), np.cos(2), np.cos(0.02)]
    expected += [np.sin(1), np.sin(0.01), np.cos(1), np.cos(0.01)]
    np.testing.assert_allclose(table[0, 1 * 3 + 2], expected, rtol=1e-6)


@pytest.mark.once
def test_every_cell_has_its_own_position():
    table = sine_position_table(16, 16, 32)[0]
    distances = np.linalg.norm(table[:, None] - table[None], axis=-1)
    assert distances[~np.eye(256, dtype=bool)].min() > 0.5


def test_time_embedding_equals_numpy():
    layer = TimeEmbedding(8, 16)
    received = to_numpy(layer(np.array([1, 5, 16])))
    weights = [
        array.astype("float64")
        for array in to_numpy(layer.hidden.weights + layer.output_projection.weights)
    ]
    position = np.array([0, 4, 15]) / 16 * 4000
    angles = position[:, None] * 10000.0 ** (-np.arange(4) / 3)
    hidden = np.concatenate([np.sin(angles), np.cos(angles)], axis=1) @ weights[0] + weights[1]
    expected = hidden / (1 + np.exp(-hidden)) @ weights[2] + weights[3]
    # float32 angles up to 4000 are exact to about 2e-4.
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-3)


def test_time_is_scaled_by_the_steps_of_training():
    """(t - 1) / T is what counts: t = 5 of 8 looks like t = 9 of 16, not like t = 5 of 16."""
    eight, sixteen = TimeEmbedding(8, 8), TimeEmbedding(8, 16)
    sixteen.set_weights(eight.get_weights())
    at = np.array
    np.testing.assert_allclose(to_numpy(eight(at([5]))), to_numpy(sixteen(at([9]))), rtol=1e-6)
    assert abs(to_numpy(eight(at([5]))) - to_numpy(sixteen(at([5])))).max() > 1e-2


def test_half_precision_tells_neighbouring_steps_apart():
    """Angles are float32 in every policy: bfloat16 cannot tell 3999 from 4000."""
    outputs = check_dtype_policies(lambda: TimeEmbedding(8, 1024), np.array([1022, 1023, 1024]))
    for policy, embedded in outputs.items():
        assert abs(np.diff(embedded, axis=0)).max(axis=1).min() > 1e-2, policy


def test_keras_own_checks():
    check_keras_layer(TimeEmbedding(8, 16), np.array([1, 16]))
