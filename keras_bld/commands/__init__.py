"""The commands of `keras-bld`, one file for each."""

import keras_bld.zoo  # noqa: F401 (its presets are found by their names, without Keras)
