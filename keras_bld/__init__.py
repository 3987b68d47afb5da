"""Binary Latent Diffusion (Wang et al., CVPR 2023) for Keras 3: the one list of public names."""

import importlib

from keras_bld.base import processor
from keras_bld.base.version import __version__

processor.turn_on_onednn()  # before Keras imports TensorFlow

# isort: split
# These rooms register the Keras classes that `.keras` files and presets name.
from keras_bld import baselines, metrics
from keras_bld.autoencoder import BernoulliStraightThrough, BinaryAutoencoder
from keras_bld.base.pictures import image_grid, show
from keras_bld.diffusion import (
    BernoulliDenoiser,
    BernoulliNoiseSchedule,
    BinaryLatentDiffusion,
    Sampling,
)
from keras_bld.zoo import list_presets, load_preset

# Resolved at first use, so that `import keras_bld` stays as quick as `import keras`.
_ROOMS = ("conversion", "data", "evaluation", "presets", "serving", "text", "zoo")

__all__ = [
    "BernoulliDenoiser",
    "BernoulliNoiseSchedule",
    "BernoulliStraightThrough",
    "BinaryAutoencoder",
    "BinaryLatentDiffusion",
    "Sampling",
    "__version__",
    "baselines",
    "image_grid",
    "list_presets",
    "load_preset",
    "metrics",
    "show",
    *_ROOMS,
]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"keras_bld.{name}")
    raise AttributeError(f"module 'keras_bld' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
