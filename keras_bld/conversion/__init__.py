"""Published PyTorch checkpoints -> models of this library."""

from keras_bld.conversion.autoencoder import autoencoder_from_published, convert_autoencoder
from keras_bld.conversion.checkpoint import read_checkpoint
from keras_bld.conversion.diffusion import convert_diffusion, diffusion_from_published
from keras_bld.conversion.report import ConversionReport, PlacedTensor

__all__ = [
    "ConversionReport",
    "PlacedTensor",
    "autoencoder_from_published",
    "convert_autoencoder",
    "convert_diffusion",
    "diffusion_from_published",
    "read_checkpoint",
]
