"""The bottlenecks by name, as recipes and ablations choose among them."""

from keras_bld.autoencoder import BernoulliBottleneck, BinaryAutoencoder
from keras_bld.base import checks
from keras_bld.baselines.bottleneck_autoencoder import BottleneckAutoencoder
from keras_bld.baselines.continuous import GaussianBottleneck
from keras_bld.baselines.finite_scalar import FiniteScalarQuantizer
from keras_bld.baselines.sign_quantizers import (
    BinarySphericalQuantizer,
    LookupFreeQuantizer,
    TanhBernoulli,
)
from keras_bld.baselines.vector_quantizer import VectorQuantizer

_MOST_VECTORS = 10  # bits of the paper's 1,024 vectors
_LEVELS = (8, 5, 5, 5)  # nearly as many combinations, in 3 bits each

# Name -> callable: bits of a cell of a binary code -> the bottleneck to compare with it. Its own
# codes have at most as many bits.
BOTTLENECKS = {
    "bernoulli": lambda bits: BernoulliBottleneck(bits, seed=0),
    "vector_quantized": lambda bits: VectorQuantizer(2 ** min(bits, _MOST_VECTORS), 16, seed=0),
    "real_valued": lambda bits: GaussianBottleneck(max(1, bits // 2), seed=0),
    "tanh_bernoulli": lambda bits: TanhBernoulli(bits, seed=0),
    "lookup_free": lambda bits: LookupFreeQuantizer(bits),
    "binary_spherical": lambda bits: BinarySphericalQuantizer(bits),
    "finite_scalar": lambda bits: FiniteScalarQuantizer(_LEVELS[: max(1, bits // 3)]),
}
# Those whose codes are no bits, from which no stage 2 can learn.
WITHOUT_BITS = ("real_valued",)


def autoencoder_with(bottleneck, image_shape, code_channels, sharpness=1.0, **options):
    """Build the autoencoder with a bottleneck of the table.

    Args:
        bottleneck: a name of `BOTTLENECKS`.
        image_shape: (height, width, channels).
        code_channels: bits of a cell, from which the sizes of all bottlenecks follow.
        sharpness: of "bernoulli", see `BernoulliBottleneck`; the others have none.
        **options: the other arguments of `CodeAutoencoder`.

    Returns:
        A `BinaryAutoencoder` for "bernoulli", else a `BottleneckAutoencoder`.

    Raises:
        ValueError: an unknown name, or sizes that do not fit together.
    """
    checks.check_choice("bottleneck", bottleneck, tuple(BOTTLENECKS))
    if bottleneck == "bernoulli":
        return BinaryAutoencoder(image_shape, code_channels, sharpness, **options)
    return BottleneckAutoencoder(image_shape, BOTTLENECKS[bottleneck](code_channels), **options)
