import hashlib

import keras
import numpy as np
import pytest
from harness import check_config

from keras_bld.metrics import extract_features, inception, inception_fid

torch = pytest.importorskip("torch")
functional = torch.nn.functional


class Reference:
    """pytorch-fid's network as plain functions; a weight that is asked for first is drawn."""

    def __init__(self):
        self.state = {}
        self.generator = torch.Generator().manual_seed(0)

    def draw(self, name, *shape, scale=1.0, offset=0.0):
        if name not in self.state:
            values = torch.randn(shape, generator=self.generator) * scale + offset
            self.state[name] = values
        return self.state[name]

    def conv(self, x, name, filters, size, stride=1, padding=0):
        size = (size, size) if isinstance(size, int) else size
        scale = (2.0 / (x.shape[1] * size[0] * size[1])) ** 0.5
        kernel = self.draw(f"{name}.conv.weight", filters, x.shape[1], *size, scale=scale)
        x = functional.conv2d(x, kernel, stride=stride, padding=padding)
        bn = f"{name}.bn"
        weight = self.draw(f"{bn}.weight", filters, scale=0.1, offset=1.0)
        bias = self.draw(f"{bn}.bias", filters, scale=0.1)
        mean = self.draw(f"{bn}.running_mean", filters, scale=0.1)
        variance = self.draw(f"{bn}.running_var", filters, scale=0.1, offset=1.0).abs()
        self.state[f"{bn}.running_var"] = variance
        x = functional.batch_norm(x, mean, variance, weight, bias, eps=0.001)
        return functional.relu(x)

    def average(self, x):
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    def a(self, x, name, pool_filters):
        one = self.conv(x, f"{name}.branch1x1", 64, 1)
        five = self.conv(x, f"{name}.branch5x5_1", 48, 1)
        five = self.conv(five, f"{name}.branch5x5_2", 64, 5, padding=2)
        three = self.conv(x, f"{name}.branch3x3dbl_1", 64, 1)
        three = self.conv(three, f"{name}.branch3x3dbl_2", 96, 3, padding=1)
        three = self.conv(three, f"{name}.branch3x3dbl_3", 96, 3, padding=1)
        pool = self.conv(self.average(x), f"{name}.branch_pool", pool_filters, 1)
        return torch.cat([one, five, three, pool], 1)

    def b(self, x, name):
        three = self.conv(x, f"{name}.branch3x3", 384, 3, stride=2)
        double = self.conv(x, f"{name}.branch3x3dbl_1", 64, 1)
        double = self.conv(double, f"{name}.branch3x3dbl_2", 96, 3, padding=1)
        double = self.conv(double, f"{name}.branch3x3dbl_3", 96, 3, stride=2)
        return torch.cat([three, double, functional.max_pool2d(x, 3, stride=2)], 1)

    def c(self, x, name, filters):
        wide, high = dict(size=(1, 7), padding=(0, 3)), dict(size=(7, 1), padding=(3, 0))
        one = self.conv(x, f"{name}.branch1x1", 192, 1)
        seven = self.conv(x, f"{name}.branch7x7_1", filters, 1)
        seven = self.conv(seven, f"{name}.branch7x7_2", filters, **wide)
        seven = self.conv(seven, f"{name}.branch7x7_3", 192, **high)
        double = self.conv(x, f"{name}.branch7x7dbl_1", filters, 1)
        double = self.conv(double, f"{name}.branch7x7dbl_2", filters, **high)
        double = self.conv(double, f"{name}.branch7x7dbl_3", filters, **wide)
        double = self.conv(double, f"{name}.branch7x7dbl_4", filters, **high)
        double = self.conv(double, f"{name}.branch7x7dbl_5", 192, **wide)
        pool = self.conv(self.average(x), f"{name}.branch_pool", 192, 1)
        return torch.cat([one, seven, double, pool], 1)

    def d(self, x, name):
        three = self.conv(x, f"{name}.branch3x3_1", 192, 1)
        three = self.conv(three, f"{name}.branch3x3_2", 320, 3, stride=2)
        seven = self.conv(x, f"{name}.branch7x7x3_1", 192, 1)
        seven = self.conv(seven, f"{name}.branch7x7x3_2", 192, (1, 7), padding=(0, 3))
        seven = self.conv(seven, f"{name}.branch7x7x3_3", 192, (7, 1), padding=(3, 0))
        seven = self.conv(seven, f"{name}.branch7x7x3_4", 192, 3, stride=2)
        return torch.cat([three, seven, functional.max_pool2d(x, 3, stride=2)], 1)

    def e(self, x, name, pool):
        wide, high = dict(size=(1, 3), padding=(0, 1)), dict(size=(3, 1), padding=(1, 0))
        one = self.conv(x, f"{name}.branch1x1", 320, 1)
        three = self.conv(x, f"{name}.branch3x3_1", 384, 1)
        three = [
            self.conv(three, f"{name}.branch3x3_2a", 384, **wide),
            self.conv(three, f"{name}.branch3x3_2b", 384, **high),
        ]
        double = self.conv(x, f"{name}.branch3x3dbl_1", 448, 1)
        double = self.conv(double, f"{name}.branch3x3dbl_2", 384, 3, padding=1)
        double = [
            self.conv(double, f"{name}.branch3x3dbl_3a", 384, **wide),
            self.conv(double, f"{name}.branch3x3dbl_3b", 384, **high),
        ]
        pool = self.conv(pool(x), f"{name}.branch_pool", 192, 1)
        return torch.cat([one, *three, *double, pool], 1)

    def __call__(self, x):
        x = self.conv(x, "Conv2d_1a_3x3", 32, 3, stride=2)
        x = self.conv(x, "Conv2d_2a_3x3", 32, 3)
        x = self.conv(x, "Conv2d_2b_3x3", 64, 3, padding=1)
        x = functional.max_pool2d(x, 3, stride=2)
        x = self.conv(x, "Conv2d_3b_1x1", 80, 1)
        x = self.conv(x, "Conv2d_4a_3x3", 192, 3)
        x = functional.max_pool2d(x, 3, stride=2)
        for name, pool_filters in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
            x = self.a(x, name, pool_filters)
        x = self.b(x, "Mixed_6a")
        for name, filters in zip("bcde", (128, 160, 160, 192), strict=True):
            x = self.c(x, f"Mixed_6{name}", filters)
        x = self.d(x, "Mixed_7a")
        x = self.e(x, "Mixed_7b", self.average)
        x = self.e(x, "Mixed_7c", lambda y: functional.max_pool2d(y, 3, stride=1, padding=1))
        self.draw("fc.weight", 1008, 2048, scale=0.02)
        self.draw("fc.bias", 1008)
        return x.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def images():
    # Smaller and larger than 299, not square: both directions of the resize.
    return np.random.default_rng(0).integers(0, 256, size=(2, 64, 350, 3)).astype("uint8")


@pytest.fixture(scope="module")
def reference(images):
    network = Reference()
    with torch.no_grad():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0
        x = functional.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
        features = network(2.0 * x - 1.0).numpy()
    return network, features


@pytest.fixture(scope="module")
def weight_file(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(reference[0].state, path)
    return path


@pytest.mark.slow
def test_equal_to_pytorch_fid_with_random_weights(images, reference, weight_file):
    network, expected = reference
    ours = inception_fid(weight_file, resize="pytorch_fid", sha256=None)
    assert ours.model.count_params() == sum(
        values.numel() for name, values in network.state.items() if not name.startswith("fc.")
    )
    features = extract_features(images, ours, batch_size=2)
    assert features.std() > 0.05  # the comparison below is of something
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    logits = torch.from_numpy(expected) @ network.state["fc.weight"].T
    np.testing.assert_allclose(
        ours.class_probabilities(features), logits.softmax(dim=1).numpy(), rtol=1e-3, atol=1e-6
    )
    assert ours.metric_name("FID") == "FID (inception-2015-12-05, pytorch_fid resize)"
    assert ours.weights_sha256 == hashlib.sha256(weight_file.read_bytes()).hexdigest()


@pytest.mark.slow
def test_equal_to_torch_fidelity_with_random_weights(images, weight_file, torch_fidelity):
    extractor = torch_fidelity("feature_extractor_inceptionv3").FeatureExtractorInceptionV3(
        "inception", ["2048"], feature_extractor_weights_path=str(weight_file)
    )
    expected = extractor(torch.from_numpy(images).permute(0, 3, 1, 2))[0].numpy()
    ours = inception_fid(weight_file, resize="tensorflow", sha256=None)
    features = extract_features(images, ours, batch_size=2)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)


def test_resize_by_hand():
    # Two columns become 299: TensorFlow 1 reads at i * 2 / 299, so the right half is the second
    # column; aligned centres read at (i + 0.5) * 2 / 299 - 0.5, so both ends are flat.
    image = np.array([0.0, 1.0], dtype="float32").reshape(1, 1, 2, 1)
    steps = np.arange(299) * 2.0 / 299.0
    received = inception.InceptionPreprocessing("tensorflow")(image)
    expected = (np.minimum(steps, 1.0) * 255.0 - 128.0) / 128.0
    received = keras.ops.convert_to_numpy(received)[0, 0, :, 0]
    np.testing.assert_allclose(received, expected, atol=1e-5)
    received = inception.InceptionPreprocessing("pytorch_fid")(image)
    expected = np.clip(steps + 1.0 / 299.0 - 0.5, 0.0, 1.0) * 2.0 - 1.0
    received = keras.ops.convert_to_numpy(received)[0, 0, :, 0]
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_tensorflow_resize_equals_tensorflow_1():
    tf = pytest.importorskip("tensorflow")
    images = np.random.default_rng(0).integers(0, 256, size=(1, 40, 333, 3)).astype("float32")
    expected = tf.compat.v1.image.resize_bilinear(images, (299, 299), align_corners=False)
    received = inception.InceptionPreprocessing("tensorflow")(images / 255.0)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(received), (expected.numpy() - 128.0) / 128.0, atol=1e-5
    )


def test_preprocessing_config():
    check_config(
        inception.InceptionPreprocessing, inception.InceptionPreprocessing(resize="pytorch_fid")
    )


def test_without_weights_the_error_says_how_to_get_them(monkeypatch):
    def no_network(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(keras.utils, "get_file", no_network)
    with pytest.raises(ValueError, match="pt_inception-2015-12-05-6726825d.pth.*weights=.FILE"):
        inception_fid()


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not a file"):
        inception_fid(tmp_path / "missing.pth")
    path = tmp_path / "other.pth"
    path.write_bytes(b"not weights")
    with pytest.raises(ValueError, match=inception.INCEPTION_SHA256):
        inception_fid(path)


@pytest.mark.slow
def test_missing_and_left_over_arrays_are_named(reference):
    state = {name: values.numpy() for name, values in reference[0].state.items()}
    model = inception.build_inception()
    with pytest.raises(ValueError, match="extra.weight"):
        inception.load_inception_weights(model, {**state, "extra.weight": np.zeros(1)})
    state.pop("Mixed_6c.branch7x7_2.bn.bias")
    with pytest.raises(ValueError, match="nothing under 'Mixed_6c.branch7x7_2.bn.bias'"):
        inception.load_inception_weights(model, state)
