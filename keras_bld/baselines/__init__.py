"""Baselines that the paper compares with: other bottlenecks (Table 4) and priors (Table 5)."""

from typing import TYPE_CHECKING

from keras_bld.base.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_bld.baselines.absorbing import AbsorbingDiffusion
    from keras_bld.baselines.autoregressive import AutoregressivePrior, CausalTransformer
    from keras_bld.baselines.bottleneck_autoencoder import BottleneckAutoencoder
    from keras_bld.baselines.bottlenecks import BOTTLENECKS, WITHOUT_BITS, autoencoder_with
    from keras_bld.baselines.continuous import GaussianBottleneck
    from keras_bld.baselines.finite_scalar import FiniteScalarQuantizer
    from keras_bld.baselines.masked_bits import MaskedBitPrior
    from keras_bld.baselines.sign_quantizers import (
        BinarySphericalQuantizer,
        LookupFreeQuantizer,
        TanhBernoulli,
    )
    from keras_bld.baselines.vector_quantizer import VectorQuantizer

__all__ = [
    "AbsorbingDiffusion",
    "AutoregressivePrior",
    "BOTTLENECKS",
    "BinarySphericalQuantizer",
    "BottleneckAutoencoder",
    "CausalTransformer",
    "FiniteScalarQuantizer",
    "GaussianBottleneck",
    "LookupFreeQuantizer",
    "MaskedBitPrior",
    "TanhBernoulli",
    "VectorQuantizer",
    "WITHOUT_BITS",
    "autoencoder_with",
]

__getattr__, __dir__ = lazy_names(__name__)
