"""The SavedModel as a server gets it, without the client."""

import subprocess
import sys

import numpy as np
import pytest
from small_models import small_autoencoder, small_diffusion

pytestmark = pytest.mark.on_tensorflow  # written by TensorFlow on every backend


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(model, path, the loaded SavedModel)"""
    import tensorflow as tf

    model = small_diffusion(small_autoencoder(), num_classes=3)
    path = model.export(tmp_path_factory.mktemp("export") / "served", num_steps=2, verify=False)
    return model, path, tf.saved_model.load(str(path / "1"))


def request(count=2, **changes):
    """Inputs of `generate`, and of `inpaint` where images are among the changes."""
    import tensorflow as tf

    inputs = {
        "seed": np.full(count, 7, "int32"),
        "index": np.arange(count, dtype="int32"),
        "labels": np.full(count, 1, "int32"),
        "temperature": np.full(count, 0.9, "float32"),
        "guidance_scale": np.full(count, 1.0, "float32"),
        **changes,
    }
    return {name: tf.constant(value) for name, value in inputs.items()}


def test_any_number_of_rows_and_the_default_signature(served):
    _, _, loaded = served
    assert set(loaded.signatures) == {
        "serving_default", "generate", "inpaint", "encode", "decode",
    }  # fmt: skip
    one = loaded.signatures["generate"](**request(1))["images"].numpy()
    three = loaded.signatures["serving_default"](**request(3))["images"].numpy()
    assert three.shape == (3, 8, 8, 3) and three.dtype == np.uint8
    np.testing.assert_array_equal(one[0], three[0])


IMAGES = {"images": np.zeros((2, 8, 8, 3), "uint8"), "mask": np.ones((2, 8, 8), "uint8")}


@pytest.mark.parametrize(
    "signature, changes, message",
    [
        ("generate", {"temperature": np.float32([0.9, np.nan])}, "Invalid `temperature`"),
        ("generate", {"temperature": np.float32([0.9, np.inf])}, "Invalid `temperature`"),
        ("generate", {"temperature": np.float32([0.9, 0.0])}, "`temperature`: expected numbers >="),
        ("generate", {"guidance_scale": np.float32([-1, 0])}, "Invalid `guidance_scale`"),
        ("generate", {"labels": np.int32([0, 3])}, "Invalid `labels`: expected numbers <= 2"),
        ("generate", {"labels": np.int32([0, -2])}, "Invalid `labels`: expected numbers >= -1"),
        ("generate", {"labels": np.int32([0])}, "`labels`: expected as many rows as `seed`"),
        ("generate", {"seed": np.int32([-1, 0])}, "Invalid `seed`"),
        ("inpaint", {**IMAGES, "mask": np.ones((2, 8, 9), "uint8")}, "shape_of_mask|mask"),
        ("inpaint", {**IMAGES, "images": np.ones((2, 9, 8, 3), "uint8")}, "images"),
    ],
)
def test_a_bad_request_gives_no_picture(served, signature, changes, message):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served[2].signatures[signature](**request(**changes))


@pytest.mark.parametrize(
    "signature, inputs",
    [
        ("encode", {"images": np.zeros((1, 9, 8, 3), "uint8")}),  # "17 x 16" of 16 x 16
        ("encode", {"images": np.zeros((0, 8, 8, 3), "uint8")}),
        ("decode", {"codes": np.full((1, 4, 4, 4), 2, "uint8")}),
        ("decode", {"codes": np.zeros((1, 4, 2, 4), "uint8")}),
    ],
)
def test_bad_images_and_codes_give_nothing(served, signature, inputs):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError):
        served[2].signatures[signature](**{key: tf.constant(inputs[key]) for key in inputs})


def test_requests_that_warm_up_are_requests(served):
    """Read with a parser of its own: fields by number, as the .proto files of the server say."""
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    _, path, loaded = served
    log = path / "1" / "assets.extra" / "tf_serving_warmup_requests"
    names = []
    for record in tf.data.TFRecordDataset(str(log)):
        ((number, predict_log),) = fields(record.numpy())
        assert number == 6  # PredictionLog.predict_log
        ((number, predict_request),) = fields(predict_log)
        assert number == 1  # PredictLog.request
        inputs = {}
        for number, content in fields(predict_request):
            if number == 1:  # model_spec
                ((number, name),) = fields(content)
                assert number == 3  # signature_name
                names.append(name.decode())
            else:
                assert number == 2  # inputs, a map
                (_, key), (_, value) = fields(content)
                inputs[key.decode()] = tf.constant(tf.make_ndarray(TensorProto.FromString(value)))
        loaded.signatures[names[-1]](**inputs)
    assert names == ["generate", "inpaint", "encode", "decode"]


def fields(message):
    """(number, bytes) of each field of a message that has fields of bytes alone."""
    found, place = [], 0
    while place < len(message):
        assert message[place] & 7 == 2
        number, place, size, shift = message[place] >> 3, place + 1, 0, 0
        while True:
            digit = message[place]
            size |= (digit & 127) << shift
            place, shift = place + 1, shift + 7
            if digit < 128:
                break
        found.append((number, message[place : place + size]))
        place += size
    return found


@pytest.mark.slow
def test_saved_model_cli_runs_it(served, tmp_path):
    inputs = {name: value.numpy() for name, value in request().items()}
    np.savez(tmp_path / "inputs.npz", **inputs)
    words = [f"{name}={tmp_path / 'inputs.npz'}[{name}]" for name in inputs]
    from tensorflow.python.tools import saved_model_cli

    command = [
        sys.executable, saved_model_cli.__file__, "run", "--dir", str(served[1] / "1"),
        "--tag_set", "serve", "--signature_def", "generate", "--outdir", str(tmp_path / "out"),
        "--inputs", ";".join(words),
    ]  # fmt: skip
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    received = np.load(tmp_path / "out" / "images.npy")
    expected = served[2].signatures["generate"](**request())["images"].numpy()
    np.testing.assert_array_equal(received, expected)
