import keras
import pytest


@pytest.fixture(autouse=True, scope="module")
def _models_start_at_zero():
    """Initial weights are zeros: a conversion overwrites them all, and JAX compiles no random one.

    (XLA takes most of a second for the random numbers of each new shape.)
    """

    def zeros(initializer, shape, dtype=None):
        return keras.ops.zeros(shape, dtype)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("VarianceScaling", "RandomNormal"):
            patch.setattr(getattr(keras.initializers, name), "__call__", zeros)
        yield
