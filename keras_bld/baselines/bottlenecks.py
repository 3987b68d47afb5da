"""The bottlenecks by name, as recipes and ablations choose among them."""

import importlib

from keras_bld.base import checks

_MOST_VECTORS = 10  # bits of the paper's 1,024 vectors
_LEVELS = (8, 5, 5, 5)  # nearly as many combinations, in 3 bits each


def _class(room, name):
    """A class by its public name, imported at its use: options of recipes need the names alone."""
    return getattr(importlib.import_module(f"keras_bld.{room}"), name)


# Name -> callable: bits of a cell of a binary code -> the bottleneck to compare with it. Its own
# codes have at most as many bits.
BOTTLENECKS = {
    "bernoulli": lambda bits: _class("autoencoder", "BernoulliBottleneck")(bits, seed=0),
    "vector_quantized": lambda bits: _class("baselines", "VectorQuantizer")(
        2 ** min(bits, _MOST_VECTORS), 16, seed=0
    ),
    "real_valued": lambda bits: _class("baselines", "GaussianBottleneck")(
        max(1, bits // 2), seed=0
    ),
    "tanh_bernoulli": lambda bits: _class("baselines", "TanhBernoulli")(bits, seed=0),
    "lookup_free": lambda bits: _class("baselines", "LookupFreeQuantizer")(bits),
    "binary_spherical": lambda bits: _class("baselines", "BinarySphericalQuantizer")(bits),
    "finite_scalar": lambda bits: _class("baselines", "FiniteScalarQuantizer")(
        _LEVELS[: max(1, bits // 3)]
    ),
}
# Those whose codes are no bits, from which no stage 2 can learn.
WITHOUT_BITS = ("real_valued",)


def autoencoder_with(
    bottleneck,
    image_shape,
    code_channels,
    sharpness=1.0,
    bit_gradient="straight_through",
    **options,
):
    """Build the autoencoder with a bottleneck of the table.

    Args:
        bottleneck: a name of `BOTTLENECKS`.
        image_shape: (height, width, channels).
        code_channels: bits of a cell, from which the sizes of all bottlenecks follow.
        sharpness, bit_gradient: of "bernoulli", see `BinaryAutoencoder`; the others have none.
        **options: the other arguments of `CodeAutoencoder`.

    Returns:
        A `BinaryAutoencoder` for "bernoulli", else a `BottleneckAutoencoder`.

    Raises:
        ValueError: an unknown name, or sizes that do not fit together.
    """
    checks.check_choice("bottleneck", bottleneck, tuple(BOTTLENECKS))
    if bottleneck == "bernoulli":
        build = _class("autoencoder", "BinaryAutoencoder")
        return build(image_shape, code_channels, sharpness, bit_gradient, **options)
    build = _class("baselines", "BottleneckAutoencoder")
    return build(image_shape, BOTTLENECKS[bottleneck](code_channels), **options)
