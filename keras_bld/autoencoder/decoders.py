"""The decoders of an autoencoder by name: the full one, and a small one where it has it."""

import numpy as np
from keras import ops

from keras_bld.autoencoder.blocks import AttentionBlock, ResidualBlock, Upsample
from keras_bld.base import checks

DECODERS = ("full", "small")


def decoders_of(autoencoder):
    """Name -> `Decoder` of those that an autoencoder has."""
    found = {"full": autoencoder.decoder, "small": getattr(autoencoder, "small_decoder", None)}
    return {name: network for name, network in found.items() if network is not None}


def decoder_named(autoencoder, name):
    """The decoder with a name.

    Raises:
        ValueError: an unknown name, or "small" of an autoencoder without one.
    """
    checks.check_choice("decoder", name, DECODERS)
    found = decoders_of(autoencoder)
    if name not in found:
        raise checks.error(
            "decoder",
            "'small' for an autoencoder that has no small decoder",
            "'full'",
            "train a small one with distill_decoder (keras-bld distill-decoder), or leave it out",
        )
    return found[name]


def with_decoder(model, name):
    """A model that has the decoder with this name as its only one; the rest is as before.

    What runs, exports or serves a model needs not know then that there are two.

    Args:
        model: a `CodeAutoencoder`, or a model that owns one as `autoencoder`.
        name: "full" gives the model itself, "small" a copy.

    Raises:
        ValueError: as `decoder_named`.
    """
    autoencoder = getattr(model, "autoencoder", model)
    if autoencoder is None and name == "full":
        return model
    decoder = decoder_named(autoencoder, name)
    if name == "full":
        return model
    copy = rebuilt(autoencoder, decoder_options=autoencoder.small_decoder_options)
    copy_weights(decoder, copy.decoder)
    return with_autoencoder(model, copy)


def rebuilt(autoencoder, decoder_options=None, small_decoder=None):
    """A copy with other decoders, of which only a full one of unchanged sizes has its weights.

    Critic and perceptual network stay behind.
    """
    changes = {"decoder_options": decoder_options, "small_decoder": small_decoder}
    left_out = dict.fromkeys(("critic", "perceptual"))
    copy = type(autoencoder).from_config({**autoencoder.get_config(), **left_out, **changes})
    names = ["encoder", "code_logits", "bottleneck"]
    if decoder_options == (autoencoder.decoder_options or None):
        names.append("decoder")
    for part in names:
        copy_weights(getattr(autoencoder, part), getattr(copy, part))
    return copy


def with_autoencoder(model, autoencoder):
    """The model around another autoencoder; the autoencoder itself where the model is one."""
    if not hasattr(model, "autoencoder"):
        return autoencoder
    shared = {name: getattr(model, name) for name in ("denoiser", "schedule")}
    return type(model).from_config({**model.get_config(), **shared, "autoencoder": autoencoder})


def copy_weights(source, target):
    """Give a layer the values of another one of the same sizes."""
    for ours, theirs in zip(target.weights, source.weights, strict=True):
        ours.assign(ops.convert_to_tensor(theirs))


def check_image_shape(decoder, latent_shape, image_shape):
    """Raise ValueError for a decoder that makes images of another shape."""
    made = decoder.compute_output_shape((None, *latent_shape))[1:]
    if tuple(made) != tuple(image_shape):
        raise checks.error(
            decoder.name,
            f"a decoder of images {tuple(made)}",
            f"images {tuple(image_shape)}",
            "choose width_multipliers and pixel_shuffle that multiply to the encoder's f",
        )


def count_operations(decoder, latent_shape):
    """Operations of decoding one code, two for each multiply-add.

    Matrix products and convolutions only, as is usual.

    Args:
        decoder: a built `Decoder`.
        latent_shape: (h, w, channels) of what it gets.
    """
    positions = int(np.prod(latent_shape[:2]))
    products = positions * _size(decoder.embedding)
    for block in decoder.blocks:
        if isinstance(block, ResidualBlock):
            products += positions * (_size(block.conv1.kernel) + _size(block.conv2.kernel))
            if block.shortcut is not None:
                products += positions * _size(block.shortcut.kernel)
        elif isinstance(block, AttentionBlock):
            width = block.query.kernel.shape[0]
            products += positions * (4 * width * width + 2 * positions * width)
        elif isinstance(block, Upsample):
            positions *= 4
            products += positions * _size(block.conv.kernel)
        elif hasattr(block, "kernel"):
            products += positions * _size(block.kernel)
    return 2 * products


def _size(weight):
    return int(np.prod(weight.shape))
