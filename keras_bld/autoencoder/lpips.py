"""The network and the weight files of LPIPS (VGG16, version 0.1)."""

import os

import keras

from keras_bld.base import checks
from keras_bld.base.torch_files import read_arrays

# Means and standard deviations of LPIPS's input layer, for images in [-1, 1].
INPUT_SHIFT = (-0.030, -0.088, -0.188)
INPUT_SCALE = (0.458, 0.448, 0.450)

# Channels of the convolutions before each max pooling; the features are taken before it.
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# Where these convolutions stand in torchvision's `features`.
CONVOLUTION_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)

# argument: (file name, address, sha256)
SOURCES = {
    "vgg_weights": (
        "vgg16-397923af.pth",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "heads": (
        "lpips_v0.1_vgg.pth",
        "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/"
        "082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1/vgg.pth",
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    ),
}
ALTERNATIVES = (
    "pass local files as PerceptualDistance.lpips(vgg_weights=PATH, heads=PATH); or train without "
    "the term, perceptual=None; or use features of your own, PerceptualDistance(feature_model) "
    "with any Keras model that returns feature maps"
)


def build_vgg16():
    """VGG16 without its classifier: images in [0, 1] -> list of five feature maps."""
    # From [0, 1] to [-1, 1], then standardised.
    scale = [2.0 / s for s in INPUT_SCALE]
    offset = [(-1.0 - m) / s for m, s in zip(INPUT_SHIFT, INPUT_SCALE, strict=True)]
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(scale, offset, name="standardise")(inputs)
    outputs = []
    for stage, widths in enumerate(STAGES, start=1):
        if stage > 1:
            x = keras.layers.MaxPooling2D(2, name=f"pool{stage}")(x)
        for index, width in enumerate(widths, start=1):
            layer = keras.layers.Conv2D(
                width, 3, padding="same", activation="relu", name=f"conv{stage}_{index}"
            )
            x = layer(x)
        outputs.append(x)
    return keras.Model(inputs, outputs, name="vgg16")


def load_vgg16(model, weights):
    """Assign torchvision's weights, a mapping name -> array, to `build_vgg16()`."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer, index in zip(layers, CONVOLUTION_INDICES, strict=True):
        rows, columns, channels, width = layer.kernel.shape
        kernel_shape = (width, channels, rows, columns)
        kernel = take(weights, f"features.{index}.weight", kernel_shape, "vgg_weights")
        bias = take(weights, f"features.{index}.bias", (width,), "vgg_weights")
        # torch keeps kernels as (out, in, row, column).
        layer.set_weights([kernel.transpose(2, 3, 1, 0), bias])


def take(weights, name, shape, argument):
    """One array of a mapping, or an error that names the file it should come from."""
    if name not in weights or weights[name].shape != shape:
        received = (
            f"`{name}` of shape {weights[name].shape}" if name in weights else "no such array"
        )
        raise checks.error(
            argument,
            f"a file without `{name}` of shape {shape} ({received})",
            f"the published file {SOURCES[argument][0]}",
            f"download {SOURCES[argument][1]}",
        )
    return weights[name]


def read_weights(argument, path=None):
    """Read a torch file as a mapping name -> NumPy array; nothing in it is executed.

    Args:
        argument: "vgg_weights" or "heads".
        path: local file; None downloads the published one and checks its sha256.
    """
    name, address, sha256 = SOURCES[argument]
    if path is None:
        try:
            path = keras.utils.get_file(
                name, address, file_hash=sha256, hash_algorithm="sha256", cache_subdir="keras_bld"
            )
        except Exception as cause:  # Whatever the download can fail with.
            raise checks.error(
                argument,
                f"no local file, and {address} could not be fetched ({cause})",
                f"the published file {name} (sha256 {sha256})",
                ALTERNATIVES,
                kind=OSError,
            ) from cause
    elif not os.path.isfile(path):
        raise checks.error(
            argument,
            f"{path!r}, which is no file",
            f"a local copy of {name}",
            ALTERNATIVES,
            OSError,
        )
    return read_arrays(path, argument, f"download {address} again")
