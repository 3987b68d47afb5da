"""The network that defines FID: Inception v3 of 2015-12-05 up to its third pooling layer.

This is not the Inception v3 of keras.applications or torchvision: other weights, average pooling
that leaves the border out, and maximum pooling in the last block (Heusel et al., 2017, took the
graph that TensorFlow had published). Architecture, weight names and values are those of the
PyTorch port that pytorch-fid and torch-fidelity use.
"""

import hashlib
import os

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.runs import option
from keras_bld.base.torch_files import read_arrays
from keras_bld.metrics.features import FeatureNetwork

INCEPTION_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
IMAGE_SIZE = 299
NUM_FEATURES = 2048
NUM_CLASSES = 1008


def inception_fid(weights=None, resize="tensorflow", sha256=INCEPTION_SHA256):
    """Return the standard FID network: images in [0, 1] to 2,048 features.

    Images are rounded to 8 bits (the reference reads image files), resized to 299 x 299 pixels
    without antialiasing, and mapped to (x - 128) / 128. Small differences here move FID more
    than most models do, so the two reference ways are both here:

    - `resize="tensorflow"`: corners aligned as in TensorFlow 1, what the original code, StyleGAN
      and torch-fidelity compute;
    - `resize="pytorch_fid"`: pixel centres aligned and values 2 x / 255 - 1, as in pytorch-fid.

    The inception score uses the logits without bias, as its reference does; see
    `FeatureNetwork.class_probabilities`.

    Args:
        weights: path of pt_inception-2015-12-05-6726825d.pth; `None` fetches it (96 MB) and
            keeps it in Keras's cache.
        resize: "tensorflow" or "pytorch_fid".
        sha256: what the file must hash to; `None` accepts any file, and the result is then not
            called FID.

    Returns:
        A `FeatureNetwork`.

    Raises:
        ValueError: the weights cannot be fetched, hash to something else, or do not fit.
    """
    checks.check_choice("resize", resize, ("tensorflow", "pytorch_fid"))
    path, received_sha256 = inception_weights(weights, sha256)
    model = build_inception(resize)
    kernel = load_inception_weights(
        model, read_arrays(path, "weights", f"download it from {INCEPTION_URL}")
    )
    is_standard = sha256 is not None and resize == "tensorflow"
    return FeatureNetwork(
        model,
        f"inception-2015-12-05, {resize} resize",
        is_standard=is_standard and received_sha256 == INCEPTION_SHA256,
        kernel=kernel,
        weights_sha256=received_sha256,
    )


def inception_weights(weights=None, sha256=INCEPTION_SHA256, argument="weights"):
    """Return the path and the sha256 of the weights of `inception_fid`; fetch them if need be.

    Args:
        weights, sha256: as for `inception_fid`.
        argument: how whoever called names the path.

    Raises:
        ValueError: they cannot be fetched, or hash to something else.
    """
    path = _fetch(argument) if weights is None else os.fspath(weights)
    received_sha256 = _file_sha256(path, argument)
    if sha256 is not None and received_sha256 != sha256:
        raise checks.error(
            argument,
            f"{path} with sha256 {received_sha256}",
            f"the file with sha256 {sha256}",
            f"download it again from {INCEPTION_URL}",
        )
    return path, received_sha256


def build_inception(resize="tensorflow"):
    """Return the FID network with random weights, images in [0, 1] of any size to features.

    Layers are named after the modules of the PyTorch port, with "-" for ".", which Keras on torch
    does not allow in a name: "Mixed_5b-branch1x1-conv".
    """
    inputs = keras.Input((None, None, 3), name="images")
    x = InceptionPreprocessing(resize, name="preprocessing")(inputs)
    x = _convolution(x, "Conv2d_1a_3x3", 32, 3, strides=2)
    x = _convolution(x, "Conv2d_2a_3x3", 32, 3, padding="valid")
    x = _convolution(x, "Conv2d_2b_3x3", 64, 3)
    x = keras.layers.MaxPooling2D(3, 2)(x)
    x = _convolution(x, "Conv2d_3b_1x1", 80, 1)
    x = _convolution(x, "Conv2d_4a_3x3", 192, 3, padding="valid")
    x = keras.layers.MaxPooling2D(3, 2)(x)  # (batch, 35, 35, 192)
    x = _block_a(x, "Mixed_5b", 32)
    x = _block_a(x, "Mixed_5c", 64)
    x = _block_a(x, "Mixed_5d", 64)
    x = _block_b(x, "Mixed_6a")  # (batch, 17, 17, 768)
    x = _block_c(x, "Mixed_6b", 128)
    x = _block_c(x, "Mixed_6c", 160)
    x = _block_c(x, "Mixed_6d", 160)
    x = _block_c(x, "Mixed_6e", 192)
    x = _block_d(x, "Mixed_7a")  # (batch, 8, 8, 1280)
    x = _block_e(x, "Mixed_7b", keras.layers.AveragePooling2D)
    x = _block_e(x, "Mixed_7c", keras.layers.MaxPooling2D)
    features = keras.layers.GlobalAveragePooling2D(name="pool_3")(x)
    return keras.Model(inputs, features, name="inception_fid")


def load_inception_weights(model, state_dict):
    """Set the weights of `build_inception` from name -> NumPy array of the PyTorch port.

    Args:
        model: model of `build_inception`.
        state_dict: "Mixed_5b.branch1x1.conv.weight" -> array in PyTorch's layout, and so on;
            every array must be used.

    Returns:
        float32 kernel of shape (2048, 1008) from features to logits.

    Raises:
        ValueError: an array is missing, left over, or of another shape.
    """
    left = {
        name: array
        for name, array in state_dict.items()
        if not name.endswith(".num_batches_tracked") and name != "fc.bias"
    }

    def take(name, shape):
        array = left.pop(name, None)
        if array is None or array.shape != shape:
            received = "nothing" if array is None else f"shape {array.shape}"
            raise checks.error(
                "weights",
                f"{received} under {name!r}",
                f"an array of shape {shape}",
                f"use the file from {INCEPTION_URL}",
            )
        return array

    for layer in model.layers:
        module = layer.name.replace("-", ".")
        if isinstance(layer, keras.layers.Conv2D):
            height, width, channels, filters = layer.kernel.shape
            array = take(f"{module}.weight", (filters, channels, height, width))
            layer.set_weights([array.transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            shape = tuple(layer.gamma.shape)
            layer.set_weights([take(f"{module}.{name}", shape) for name in names])
    kernel = take("fc.weight", (NUM_CLASSES, NUM_FEATURES)).T
    if left:
        raise checks.error(
            "weights",
            f"arrays that nothing uses: {sorted(left)}",
            "exactly the arrays of the FID network",
            f"use the file from {INCEPTION_URL}",
        )
    return np.ascontiguousarray(kernel)


@keras.saving.register_keras_serializable("keras_bld")
class InceptionPreprocessing(keras.layers.Layer):
    """Images in [0, 1] of any size to 299 x 299 and the reference's range of values.

    Args:
        resize: "tensorflow" or "pytorch_fid", see `inception_fid`.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, resize="tensorflow", **kwargs):
        super().__init__(**kwargs)
        checks.check_choice("resize", resize, ("tensorflow", "pytorch_fid"))
        self.resize = resize

    def call(self, images):
        """Return preprocessed images of shape (batch, 299, 299, channels)."""
        images = ops.round(images * 255.0)
        for axis in (1, 2):
            images = self._interpolate(images, axis)
        return (images - 128.0) / 128.0 if self.resize == "tensorflow" else images / 127.5 - 1.0

    def compute_output_spec(self, images):
        """Return the shape; `call` needs the real size of the images, which may be unknown."""
        shape = (images.shape[0], IMAGE_SIZE, IMAGE_SIZE, images.shape[3])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        """Return the arguments of `__init__`."""
        return {**super().get_config(), "resize": self.resize}

    def _interpolate(self, images, axis):
        # Written out because neither way is `ops.image.resize` on every backend; gathering and
        # mixing two neighbours also keeps full float32 precision on accelerators.
        size = images.shape[axis]
        positions = np.arange(IMAGE_SIZE, dtype="float32")
        scale = np.float32(size / IMAGE_SIZE)
        if self.resize == "tensorflow":
            positions = positions * scale
        else:
            positions = np.maximum((positions + 0.5) * scale - 0.5, 0.0).astype("float32")
        low = np.minimum(positions.astype("int32"), size - 1)
        high = np.minimum(low + 1, size - 1)
        share = (positions - low).reshape([-1 if i == axis else 1 for i in range(4)])
        low_values = ops.take(images, low, axis=axis)
        high_values = ops.take(images, high, axis=axis)
        return low_values + (high_values - low_values) * ops.cast(share, images.dtype)

    def build(self, input_shape):
        """Nothing to build."""
        self.built = True


def _convolution(x, name, filters, size, strides=1, padding=None):
    """Convolution without bias, batch normalisation, ReLU; "valid" where it has strides."""
    padding = padding or ("same" if strides == 1 else "valid")
    x = keras.layers.Conv2D(filters, size, strides, padding, use_bias=False, name=f"{name}-conv")(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}-bn")(x)
    return keras.layers.ReLU()(x)


def _chain(x, name, *steps):
    """Convolutions one after the other: steps of (suffix, filters, size[, strides])."""
    for suffix, *arguments in steps:
        x = _convolution(x, f"{name}-{suffix}", *arguments)
    return x


def _pool(x, name, filters, kind=keras.layers.AveragePooling2D):
    return _convolution(kind(3, 1, "same")(x), f"{name}-branch_pool", filters, 1)


def _block_a(x, name, pool_filters):
    branches = [
        _chain(x, name, ("branch1x1", 64, 1)),
        _chain(x, name, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
        _chain(
            x,
            name,
            ("branch3x3dbl_1", 64, 1),
            ("branch3x3dbl_2", 96, 3),
            ("branch3x3dbl_3", 96, 3),
        ),
        _pool(x, name, pool_filters),
    ]
    return keras.layers.Concatenate()(branches)


def _block_b(x, name):
    branches = [
        _chain(x, name, ("branch3x3", 384, 3, 2)),
        _chain(
            x,
            name,
            ("branch3x3dbl_1", 64, 1),
            ("branch3x3dbl_2", 96, 3),
            ("branch3x3dbl_3", 96, 3, 2),
        ),
        keras.layers.MaxPooling2D(3, 2)(x),
    ]
    return keras.layers.Concatenate()(branches)


def _block_c(x, name, filters):
    branches = [
        _chain(x, name, ("branch1x1", 192, 1)),
        _chain(
            x,
            name,
            ("branch7x7_1", filters, 1),
            ("branch7x7_2", filters, (1, 7)),
            ("branch7x7_3", 192, (7, 1)),
        ),
        _chain(
            x,
            name,
            ("branch7x7dbl_1", filters, 1),
            ("branch7x7dbl_2", filters, (7, 1)),
            ("branch7x7dbl_3", filters, (1, 7)),
            ("branch7x7dbl_4", filters, (7, 1)),
            ("branch7x7dbl_5", 192, (1, 7)),
        ),
        _pool(x, name, 192),
    ]
    return keras.layers.Concatenate()(branches)


def _block_d(x, name):
    branches = [
        _chain(x, name, ("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)),
        _chain(
            x,
            name,
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, 3, 2),
        ),
        keras.layers.MaxPooling2D(3, 2)(x),
    ]
    return keras.layers.Concatenate()(branches)


def _block_e(x, name, pooling):
    stem = _chain(x, name, ("branch3x3_1", 384, 1))
    double_stem = _chain(x, name, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3))
    branches = [
        _chain(x, name, ("branch1x1", 320, 1)),
        _chain(stem, name, ("branch3x3_2a", 384, (1, 3))),
        _chain(stem, name, ("branch3x3_2b", 384, (3, 1))),
        _chain(double_stem, name, ("branch3x3dbl_3a", 384, (1, 3))),
        _chain(double_stem, name, ("branch3x3dbl_3b", 384, (3, 1))),
        _pool(x, name, 192, pooling),
    ]
    return keras.layers.Concatenate()(branches)


def _fetch(argument):
    try:
        return keras.utils.get_file(
            os.path.basename(INCEPTION_URL), INCEPTION_URL, file_hash=INCEPTION_SHA256
        )
    except Exception as exception:
        raise checks.error(
            argument,
            f"no file, and fetching {INCEPTION_URL} failed ({exception})",
            f"the weight file with sha256 {INCEPTION_SHA256}",
            "download that address on a machine with a network and pass the file's path, "
            f"{option(argument, 'FILE.pth')}, or use a network of your own (results are then named "
            "after it)",
        ) from exception


def _file_sha256(path, argument):
    if not os.path.isfile(path):
        raise checks.error(
            argument,
            f"{path}, which is not a file",
            "the path of pt_inception-2015-12-05-6726825d.pth",
            f"download it from {INCEPTION_URL}",
        )
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
