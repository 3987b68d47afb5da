"""What every bottleneck is checked for."""

import numpy as np
from harness import check_config, check_keras_layer, to_numpy
from keras import ops


def encoder_outputs(num_inputs, seed=0):
    """What an encoder may give: (4, 3, 3, num_inputs)."""
    return np.random.default_rng(seed).normal(0, 1.5, (4, 3, 3, num_inputs)).astype("float32")


def coded(bottleneck, inputs, *noise):
    """`to_codes` from arrays to an array."""
    return to_numpy(bottleneck.to_codes(*map(ops.convert_to_tensor, (inputs, *noise))))


def decoded(bottleneck, codes):
    """`from_codes` from an array to an array."""
    return to_numpy(bottleneck.from_codes(ops.convert_to_tensor(codes)))


def check_bottleneck(bottleneck):
    """The contract of `keras_bld.autoencoder.Bottleneck`, its config, and Keras's own harness.

    Returns:
        Latents and codes of `encoder_outputs`, as NumPy arrays.
    """
    inputs = encoder_outputs(bottleneck.num_inputs)
    latents, loss = to_numpy(bottleneck(inputs))
    codes = coded(bottleneck, inputs)
    assert latents.shape == (4, 3, 3, bottleneck.latent_channels) and loss.shape == ()
    assert codes.shape == (4, 3, 3, bottleneck.code_channels)
    assert latents.dtype == loss.dtype == codes.dtype == np.float32
    noise = np.random.default_rng(1).random(codes.shape, dtype="float32")
    sampled = coded(bottleneck, inputs, noise)
    assert sampled.shape == codes.shape and np.isfinite(sampled).all()
    np.testing.assert_array_equal(decoded(bottleneck, codes), latents)
    if bottleneck.has_binary_codes:
        assert np.isin(codes, (0.0, 1.0)).all() and np.isin(sampled, (0.0, 1.0)).all()
        assert 0 < bottleneck.bits_per_cell <= bottleneck.code_channels
    else:
        assert bottleneck.bits_per_cell == np.inf
    check_config(type(bottleneck), bottleneck)
    # Its training step wants a batch axis of each output; the loss is a scalar.
    check_keras_layer(bottleneck, inputs, run_training_check=False)
    return latents, codes
