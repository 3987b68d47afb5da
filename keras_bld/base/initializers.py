"""Initial weights as torch draws them, from which the published networks were trained."""

import keras


def torch_default_initializer():
    """U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): kernels of torch's Linear and Conv2d."""
    return keras.initializers.VarianceScaling(1.0 / 3.0, "fan_in", "uniform")
