"""What identifies a trained autoencoder, so that a store of codes knows whose codes it holds."""

import hashlib
import json

import numpy as np
from keras import ops

# Of a layer's config: how it is called and run, not what it computes.
_NOT_THE_NETWORK = ("name", "trainable", "dtype")


def autoencoder_fingerprint(autoencoder):
    """Return a hash of what turns images into codes and back: sizes, encoder and decoder.

    It depends on the values of the weights, not on a file: an autoencoder alone, the same one
    inside a `BinaryLatentDiffusion`, with or without critic, saved anew, or loaded on another
    backend or in another precision, has one fingerprint.

    Args:
        autoencoder: a `BinaryAutoencoder`.

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
    parts = [autoencoder.encoder, autoencoder.code_logits, autoencoder.decoder]
    networks = [
        {key: value for key, value in part.get_config().items() if key not in _NOT_THE_NETWORK}
        for part in (autoencoder.encoder, autoencoder.decoder)
    ]
    shapes = [list(variable.shape) for part in parts for variable in part.weights]
    sizes = [list(autoencoder.image_shape), list(autoencoder.code_shape)]
    digest = hashlib.sha256(json.dumps([sizes, networks, shapes], sort_keys=True).encode())
    for part in parts:
        for variable in part.weights:
            values = ops.convert_to_numpy(ops.cast(variable, "float32"))
            digest.update(np.ascontiguousarray(values, "<f4"))
    return digest.hexdigest()
