"""Floating-point operations, counted from the architecture: two for each multiply-add.

Matrix products and convolutions only; normalisation, activations and softmax are left out, as is
usual. What an implementation saves (a folded upsampling) or adds (padding) does not change them.
"""

import math


def denoiser_flops(sizes, conditional=False):
    """Operations of one denoiser call on one code.

    Args:
        sizes: arguments of `BernoulliDenoiser`.
        conditional: whether a condition token is appended.
    """
    height, columns, channels = sizes["code_shape"]
    width, num_tokens = sizes["width"], height * columns // sizes.get("patch_size", 1) ** 2
    length = num_tokens + (2 if conditional else 1)
    # qkv 3, projection 1, the MLP 4 + 4
    in_layers = 12 * width * width * length
    attention = 2 * length * length * width
    ends = 2 * height * columns * channels * width + 2 * width * width
    return 2 * (sizes["depth"] * (in_layers + attention) + ends)


def encoder_flops(sizes):
    """Operations of encoding one image; `sizes`: an `AutoencoderSizes`."""
    cells = math.prod(sizes.code_shape[:2])
    code = 2 * cells * sizes.embedding_width * sizes.code_channels
    return sum(map(_layer_flops, sizes.encoder_layers())) + code


def decoder_flops(sizes):
    """Operations of decoding one code; `sizes`: an `AutoencoderSizes`."""
    cells = math.prod(sizes.code_shape[:2])
    code = 2 * cells * sizes.embedding_width * sizes.code_channels
    return sum(map(_layer_flops, sizes.decoder_layers())) + code


def _layer_flops(layer):
    positions = math.prod(layer.size)
    inputs, outputs = layer.inputs, layer.outputs
    if layer.kind == "norm":
        return 0
    if layer.kind == "attention":
        return 2 * positions * (4 * inputs * inputs + 2 * positions * inputs)
    if layer.kind == "residual":
        shortcut = inputs * outputs if inputs != outputs else 0
        return 2 * positions * (9 * inputs * outputs + 9 * outputs * outputs + shortcut)
    return 2 * positions * 9 * inputs * outputs
