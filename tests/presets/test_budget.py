import threading

import keras
import pytest

from keras_bld.presets.budget import build_at_most


def dense(units, inputs=100):
    layer = keras.layers.Dense(units)
    layer.build((None, inputs))
    return layer


def test_what_the_file_can_fill_is_built():
    with build_at_most(100 * 1000 + 1000, 2):
        assert dense(1000).count_params() == 101_000


def test_too_many_weights_are_refused_before_they_are_allocated():
    asked = []

    def initializer(shape, dtype=None):
        asked.append(shape)
        return keras.ops.zeros(shape, dtype)

    with pytest.raises(ValueError, match="more weights than .* 10 numbers in 2 arrays"):
        with build_at_most(10, 2):
            layer = keras.layers.Dense(10**9, kernel_initializer=initializer)
            layer.build((None, 10**6))
    assert not asked


@pytest.mark.once
def test_layers_without_weights_are_counted_too():
    with pytest.raises(ValueError, match="more layers than"), build_at_most(10, 2):
        for _ in range(10**6):
            keras.layers.Dense(3)


@pytest.mark.once
def test_afterwards_and_in_other_threads_nothing_is_counted():
    before = keras.Variable.__init__, keras.Layer.__init__
    layers = []
    with pytest.raises(ValueError), build_at_most(10, 2):
        thread = threading.Thread(target=lambda: layers.append(dense(1000)))
        thread.start()
        thread.join()
        dense(1000)
    assert layers[0].count_params() == 101_000
    assert (keras.Variable.__init__, keras.Layer.__init__) == before
    assert dense(1000).built
