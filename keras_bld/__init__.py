"""Binary Latent Diffusion (Wang et al., CVPR 2023) for Keras 3: the one list of public names."""

import importlib

from keras_bld import onednn  # noqa: F401 (before Keras imports TensorFlow)

# isort: split
# These rooms register the Keras classes that `.keras` files and presets name.
from keras_bld import baselines, evaluation
from keras_bld.autoencoder import BernoulliStraightThrough, BinaryAutoencoder
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

__version__ = "0.1.0"

# Resolved at first use, so that `import keras_bld` stays as quick as `import keras`.
_ROOMS = ("conversion", "data", "scoring", "serving", "zoo")
_ZOO_FUNCTIONS = ("load_preset", "presets")

__all__ = [
    "BernoulliDenoiser",
    "BernoulliNoiseSchedule",
    "BernoulliStraightThrough",
    "BinaryAutoencoder",
    "BinaryLatentDiffusion",
    "baselines",
    "evaluation",
    *_ROOMS,
    *_ZOO_FUNCTIONS,
]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"keras_bld.{name}")
    if name in _ZOO_FUNCTIONS:
        return getattr(importlib.import_module("keras_bld.zoo"), name)
    raise AttributeError(f"module 'keras_bld' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
