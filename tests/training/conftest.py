import keras
import numpy as np
import pytest


@pytest.fixture(scope="module")
def numpy_initial_weights():
    """Initial weights come from NumPy: the same on every backend, and JAX compiles nothing.

    (XLA takes most of a second for the random numbers of each new shape.)
    """
    generator = np.random.default_rng(0)

    def normal(initializer, shape, dtype=None):
        values = generator.normal(0, 0.2, shape).astype("float32")
        return keras.ops.convert_to_tensor(values, dtype)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("VarianceScaling", "RandomNormal"):
            patch.setattr(getattr(keras.initializers, name), "__call__", normal)
        patch.setattr(keras.random, "normal", lambda shape, **_: normal(None, shape, "float32"))
        yield
