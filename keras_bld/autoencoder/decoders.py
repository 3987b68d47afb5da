"""The decoders of an autoencoder by name: the full one, and a small one where it has it."""

import numpy as np

from keras_bld.autoencoder.blocks import AttentionBlock, ResidualBlock, Upsample
from keras_bld.base import checks
from keras_bld.presets.training_parts import with_parts

DECODERS = ("full", "small")


def decoders_of(autoencoder):
    """Name -> `Decoder` of those that an autoencoder has."""
    attributes = {"full": "decoder", "small": "small_decoder"}
    found = {name: getattr(autoencoder, attribute, None) for name, attribute in attributes.items()}
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
    if name == "full":
        return model
    autoencoder = getattr(model, "autoencoder", model)
    decoder = decoder_named(autoencoder, name)
    copy = rebuilt(autoencoder, decoder_options=autoencoder.small_decoder_options)
    copy.decoder.set_weights(decoder.get_weights())
    return copy if autoencoder is model else with_parts(model, autoencoder=copy)


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
        getattr(copy, part).set_weights(getattr(autoencoder, part).get_weights())
    return copy


def check_images_made(decoder, latent_shape, image_shape):
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
