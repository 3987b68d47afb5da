"""The random generators that belong to the process, not to a model: Python's, NumPy's, torch's.

The models of this library draw from their own. A user's layers and data may not: Keras's `Dropout`
without a seed draws from torch's.
"""

import random

import numpy as np

from keras_bld.base.backend import generator_states, restore_generator_states


def random_states():
    """Their states, as plain values that JSON takes."""
    version, numbers, _ = random.getstate()
    _, key, position, *_ = np.random.get_state()
    return {
        "python": [version, list(numbers)],
        "numpy": [key.tolist(), int(position)],
        "backend": [state.hex() for state in generator_states()],
    }


def restore_random_states(states):
    """Go on where `random_states` was called; what another machine lacks is left out."""
    if "python" in states:
        version, numbers = states["python"]
        random.setstate((version, tuple(numbers), None))
    if "numpy" in states:
        key, position = states["numpy"]
        np.random.set_state(("MT19937", np.array(key, "uint32"), position))
    restore_generator_states([bytes.fromhex(state) for state in states.get("backend", [])])
