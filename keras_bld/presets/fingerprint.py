"""Fingerprints of trained networks, so that a store of codes knows whose codes it holds."""

import hashlib
import json

import numpy as np
from keras import ops

# Of a layer's config: how it is called, run and trained, not what it computes.
_NOT_THE_NETWORK = ("name", "trainable", "dtype", "gradient")
# Arguments that came later: with these values a network is what it was without them.
_ADDED = {"patch_size": 1, "pixel_shuffle": 1}


def autoencoder_fingerprint(autoencoder):
    """Return a hash of what turns images into codes and back: sizes, encoder and decoder.

    It depends on the values of the weights, not on a file: an autoencoder alone, the same one
    inside a `BinaryLatentDiffusion`, with or without critic, saved anew, or loaded on another
    backend or in another precision, has one fingerprint.

    Args:
        autoencoder: a model with `image_shape` and `code_shape`. Where it has a method
            `coding_parts() -> (described, weighed)`, the configs of the described layers and the
            weights of the weighed ones count; otherwise all of it does.

    Returns:
        sha256 as 64 hexadecimal digits.

    Example:

    >>> import keras_bld
    >>> model = keras_bld.BinaryAutoencoder(
    ...     (8, 8, 1), 4, base_width=8, width_multipliers=(1, 2), num_blocks=1,
    ...     embedding_width=8, num_groups=4)
    >>> len(autoencoder_fingerprint(model))
    64
    """
    sizes = [list(autoencoder.image_shape), list(autoencoder.code_shape)]
    if not hasattr(autoencoder, "coding_parts"):
        return _digest(sizes, [_network(autoencoder)], autoencoder.weights)
    described, weighed = autoencoder.coding_parts()
    networks = [_network(layer) for layer in described]
    return _digest(sizes, networks, [weight for part in weighed for weight in part.weights])


def encoder_fingerprint(autoencoder, dtype="float32"):
    """Return a hash of what turns images into codes: `autoencoder_fingerprint`, less the decoder.

    Args:
        autoencoder: a `CodeAutoencoder`.
        dtype: the precision to which weights count, "float32" or "float16".

    Returns:
        64 hexadecimal digits.
    """
    sizes = [list(autoencoder.image_shape), list(autoencoder.code_shape)]
    described, weighed = (
        [part for part in parts if part is not autoencoder.decoder]
        for parts in autoencoder.coding_parts()
    )
    weights = [weight for part in weighed for weight in part.weights]
    return _digest(sizes, [_network(layer) for layer in described], weights, dtype)


def generator_fingerprint(model):
    """Return a hash of what generates codes: networks, schedule and target, no autoencoder.

    Like `autoencoder_fingerprint` it depends on values, not on a file, backend or precision.

    Args:
        model: a model with a method `generating_parts() -> (settings, layers)`, both lists.

    Returns:
        64 hexadecimal digits.
    """
    settings, layers = model.generating_parts()
    weights = [weight for layer in layers for weight in layer.weights]
    return _digest(settings, [_network(layer) for layer in layers], weights)


def _network(layer):
    return {
        key: value
        for key, value in layer.get_config().items()
        if key not in _NOT_THE_NETWORK and not (key in _ADDED and value == _ADDED[key])
    }


def _digest(sizes, networks, weights, dtype="float32"):
    shapes = [list(weight.shape) for weight in weights]
    digest = hashlib.sha256(json.dumps([sizes, networks, shapes], sort_keys=True).encode())
    for weight in weights:
        values = ops.convert_to_numpy(ops.cast(weight, "float32")).astype(dtype)
        digest.update(np.ascontiguousarray(values, "<f4"))
    return digest.hexdigest()
