"""Stage 1: image <-> bits."""

from keras_bld.autoencoder.augmentation import DiffAugment
from keras_bld.autoencoder.bernoulli_bottleneck import BernoulliBottleneck
from keras_bld.autoencoder.binary_autoencoder import BinaryAutoencoder
from keras_bld.autoencoder.bottleneck import Bottleneck
from keras_bld.autoencoder.code_autoencoder import CodeAutoencoder
from keras_bld.autoencoder.critic import PatchCritic
from keras_bld.autoencoder.decoder import Decoder
from keras_bld.autoencoder.decoder_finetuning import finetune_decoder
from keras_bld.autoencoder.decoders import with_decoder
from keras_bld.autoencoder.encoder import Encoder
from keras_bld.autoencoder.perceptual import PerceptualDistance
from keras_bld.autoencoder.small_decoder import (
    distill_decoder,
    small_decoder_agreement,
    small_decoder_options,
)
from keras_bld.autoencoder.straight_through import BernoulliStraightThrough, straight_through

__all__ = [
    "BernoulliBottleneck",
    "BernoulliStraightThrough",
    "BinaryAutoencoder",
    "Bottleneck",
    "CodeAutoencoder",
    "Decoder",
    "DiffAugment",
    "Encoder",
    "PatchCritic",
    "PerceptualDistance",
    "distill_decoder",
    "finetune_decoder",
    "small_decoder_agreement",
    "small_decoder_options",
    "straight_through",
    "with_decoder",
]
