"""The encoder and the decoder as OpenVINO graphs."""

import numpy as np

from keras_bld.autoencoder import blocks
from keras_bld.autoencoder.group_norm import GroupNorm
from keras_bld.base import checks
from keras_bld.serving.openvino_graph import (
    attention,
    constant,
    linear,
    operations,
    parameter,
    reshape,
    transpose,
    values,
)


def encoder_graph(autoencoder):
    """Images (batch, height, width, channels) -> features (batch, h, w, embedding width).

    The features come out before the last, pointwise layer: `code_logits` belongs to the
    float32 part of the model.
    """
    import openvino

    images = parameter((-1, *autoencoder.image_shape), "images")
    x = transpose(images, 0, 3, 1, 2)
    for layer in autoencoder.encoder.blocks:
        x = _layer(layer, x)
    return openvino.Model([transpose(x, 0, 2, 3, 1)], [images], "encoder")


def decoder_graph(autoencoder, decoder=None):
    """Latents (batch, *latent_shape) -> images (batch, height, width, channels) in [0, 1].

    Args:
        autoencoder: a `CodeAutoencoder`.
        decoder: one of its `Decoder`s; None takes the full one.
    """
    import openvino

    o = operations()
    height, width, channels = autoencoder.latent_shape
    decoder = autoencoder.decoder if decoder is None else decoder
    latents = parameter((-1, height, width, channels), "latents")
    x = linear(reshape(latents, 0, height * width, channels), values(decoder.embedding))
    x = transpose(reshape(x, 0, height, width, decoder.embedding_width), 0, 3, 1, 2)
    for layer in decoder.blocks:
        x = _layer(layer, x)
    if decoder.pixel_shuffle > 1:
        x = o.depth_to_space(x, "blocks_first", decoder.pixel_shuffle)
    images = o.clamp(transpose(x, 0, 2, 3, 1), 0.0, 1.0)
    return openvino.Model([images], [latents], "decoder")


def _layer(layer, x):
    """One of the layers that `Encoder.blocks` and `Decoder.blocks` hold."""
    for kind, build in _BUILDERS.items():
        if type(layer) is kind:
            return build(layer, x)
    if type(layer).__name__ == "Conv2D":
        return _convolution(x, layer)
    raise checks.error(
        "model",
        f"a layer of type {type(layer).__name__}",
        f"one of {', '.join(kind.__name__ for kind in _BUILDERS)}, Conv2D",
        "run the model without compile_for_inference",
    )


def _convolution(x, layer, strides=1, before=1, after=1):
    """3x3 convolution; `before` and `after`: rows and columns of padding."""
    kernel = values(layer.kernel).transpose(3, 2, 0, 1)  # (out, in, rows, columns)
    convolved = operations().convolution(
        x, constant(kernel), [strides] * 2, [before] * 2, [after] * 2, [1, 1]
    )
    return _with_bias(convolved, layer)


def _with_bias(x, layer):
    return operations().add(x, constant(values(layer.bias)[None, :, None, None]))


def _pointwise(x, layer):
    kernel = values(layer.kernel).T[:, :, None, None]
    o = operations()
    return _with_bias(o.convolution(x, constant(kernel), [1, 1], [0, 0], [0, 0], [1, 1]), layer)


def _group_norm(layer, x):
    """As `GroupNorm` does it: means over space first, then over the channels of a group.

    OpenVINO's own GroupNormalization moves the image into another memory layout and back.
    """
    o = operations()
    gamma, beta = values(layer.gamma), values(layer.beta)
    channels, groups = len(gamma), layer.num_groups
    space = o.constant(np.array([2, 3]))
    size = channels // groups
    same_group = np.kron(np.eye(groups), np.full((size, size), 1.0 / size))

    def mean_of_group(image):
        means = reshape(o.reduce_mean(image, space, True), 0, 1, channels)
        return reshape(linear(means, same_group), 0, channels, 1, 1)

    centered = o.subtract(x, mean_of_group(x))
    variance = mean_of_group(o.multiply(centered, centered))
    deviation = o.sqrt(o.add(variance, constant([layer.epsilon])))
    scale = o.divide(constant(gamma[None, :, None, None]), deviation)
    made = o.add(o.multiply(centered, scale), constant(beta[None, :, None, None]))
    return o.swish(made) if layer.silu else made


def _residual_block(layer, x):
    o = operations()
    made = _convolution(_group_norm(layer.norm1, x), layer.conv1)
    made = _convolution(_group_norm(layer.norm2, made), layer.conv2)
    return o.add(made, x if layer.shortcut is None else _pointwise(x, layer.shortcut))


def _attention_block(layer, x):
    o = operations()
    query, key, value = layer.query, layer.key, layer.value
    width = query.kernel.shape[0]
    scale = width**-0.5
    kernels = [values(query.kernel) * scale, values(key.kernel), values(value.kernel)]
    biases = [values(query.bias) * scale, values(key.bias), values(value.bias)]
    normalized = _group_norm(layer.norm, x)
    sequence = transpose(reshape(normalized, 0, width, -1), 0, 2, 1)
    parts = [linear(sequence, *pair) for pair in zip(kernels, biases, strict=True)]
    attended = attention(*parts, 1, width)
    attended = linear(attended, values(layer.projection.kernel), values(layer.projection.bias))
    return o.add(x, o.reshape(transpose(attended, 0, 2, 1), o.shape_of(x), False))


def _downsample(layer, x):
    return _convolution(x, layer.conv, strides=2, before=0, after=1)


def _upsample(layer, x):
    """Repeating every pixel and a 3x3 convolution, as one transposed convolution of stride 2.

    Each of the four output pixels that come from one input pixel sees 2x2 input pixels, so that
    the nine products become four.
    """
    kernel = values(layer.conv.kernel)  # (3, 3, in, out)
    spread = np.zeros((4, 4, *kernel.shape[2:]), "float32")
    for row in range(2):
        for column in range(2):
            spread[row : row + 3, column : column + 3] += kernel
    # A transposed convolution runs over its kernel backwards.
    spread = spread[::-1, ::-1].transpose(2, 3, 0, 1)
    o = operations()
    made = o.convolution_backprop_data(x, constant(spread), [2, 2], None, [1, 1], [1, 1], [1, 1])
    return _with_bias(made, layer.conv)


_BUILDERS = {
    GroupNorm: _group_norm,
    blocks.ResidualBlock: _residual_block,
    blocks.AttentionBlock: _attention_block,
    blocks.Downsample: _downsample,
    blocks.Upsample: _upsample,
}
