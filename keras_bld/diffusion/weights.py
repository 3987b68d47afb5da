"""Layers that are built at once, with the published initialisation.

Who owns them makes them inside `keras.name_scope(self.name, caller=self)`, as Keras does around
`build`. Otherwise the kernels of all blocks have the same path, and torch, to which Keras tells the
weights by their paths, knows the last one alone.
"""

import keras

from keras_bld.base.initializers import torch_default_initializer


def dense(inputs, units, policy, name, use_bias=True):
    """A Dense layer of known input width, weights drawn as torch's Linear does by default."""
    layer = keras.layers.Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=torch_default_initializer(),
        dtype=policy,
        name=name,
    )
    layer.build((None, inputs))
    return layer


def layer_normalization(width, policy, name):
    """LayerNormalization with torch's epsilon."""
    layer = keras.layers.LayerNormalization(epsilon=1e-5, dtype=policy, name=name)
    layer.build((None, None, width))
    return layer
