import json
import random

import keras
import numpy as np

from keras_bld.base.fitting.random_states import random_states, restore_random_states


def draw():
    dropout = keras.layers.Dropout(0.5)  # on torch from the process's generator
    dropped = dropout(np.ones(8, "float32"), training=True)
    seeds = [] if keras.backend.backend() == "torch" else [random.random()]
    return [random.random(), np.random.rand(), *keras.ops.convert_to_numpy(dropped), *seeds]


def test_generators_go_on_where_they_were():
    draw()
    states = json.loads(json.dumps(random_states()))
    first = draw()
    assert draw() != first
    restore_random_states(states)
    assert draw() == first


def test_what_is_not_there_is_left_out():
    restore_random_states({})
