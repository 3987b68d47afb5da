"""The client that lies beside an export, with a stand-in for its graphs."""

import json

import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from keras_bld.base import random as bld_random
from keras_bld.serving import client as client_module
from keras_bld.serving.client import Client, checked_rows, uniforms

ROWS = {
    "seed": {"dtype": "int32", "shape": [], "low": 0, "high": 2**31 - 1, "meaning": "seed"},
    "index": {"dtype": "int32", "shape": [], "low": 0, "high": 2**31 - 1, "meaning": "index"},
    "labels": {"dtype": "int32", "shape": [], "low": -1, "high": 2, "meaning": "class"},
    "temperature": {"dtype": "float32", "shape": [], "low": 0.001, "high": None, "meaning": ""},
}
IMAGES = {"dtype": "uint8", "shape": [4, 4, 1], "low": 0, "high": 255, "meaning": "pixels"}


def test_noise_is_the_library_s_bit_by_bit():
    seeds, indices = np.array([0, 7, 2**31 - 1]), np.array([3, 0, 2**20])
    shape = (3, 2, 3, 5)
    received = uniforms(seeds, indices, 11, shape)
    for row, (seed, index) in enumerate(zip(seeds, indices, strict=True)):
        indices_tensor = ops.convert_to_tensor(np.array([index], "int32"))
        expected = bld_random.uniforms(int(seed), indices_tensor, 11, shape[1:])
        np.testing.assert_array_equal(received[row], to_numpy(expected)[0])


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client with batches of two, whose graphs are functions of a test."""
    manifest = {
        "format": "stub",
        "batch_size": 2,
        "code_shape": [2, 2, 3],
        "sampling": {"num_steps": 3, "temperature": 0.9},
        "num_calls": 3,
        "requests": {"generate": ROWS, "encode": {"images": IMAGES}},
        "parts": {"generate": {"file": "", "output": "images"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    calls = []

    def run(name, **inputs):
        calls.append(inputs)
        return inputs["index"][:, None]

    monkeypatch.setitem(client_module._RUNTIMES, "stub", lambda folder, parts: run)
    made = Client(tmp_path)
    made.calls = calls
    return made


@pytest.mark.on_tensorflow
def test_batches_are_filled_up_and_cut(client):
    answer = client.generate(5, seed=3, first_index=10, labels=[0, 1, 2, 0, 1])
    np.testing.assert_array_equal(answer[:, 0], [10, 11, 12, 13, 14])
    assert [len(call["seed"]) for call in client.calls] == [2, 2, 2]
    assert client.calls[0]["temperature"].dtype == np.float32
    assert client.calls[0]["temperature"][0] == np.float32(0.9)
    client.generate(1)
    np.testing.assert_array_equal(client.calls[-1]["labels"], [-1, -1])


@pytest.mark.on_tensorflow
@pytest.mark.parametrize(
    "options, message",
    [
        ({"labels": 3}, "`labels`: received 3 ... 3; expected -1 ... 2"),
        ({"labels": 1.5}, "`labels`: received float64"),
        ({"labels": [1]}, r"`labels`: received shape \(1,\); expected \(2,\)"),
        ({"labels": "cat"}, "`labels`: received <U3"),
        ({"temperature": float("nan")}, "`temperature`: received nan"),
        ({"temperature": float("inf")}, "`temperature`: received inf"),
        ({"temperature": 0}, "`temperature`: received 0 ... 0; expected 0.001"),
        ({"seed": -1}, "`seed`: received -1"),
        ({"seed": 2**31}, "`seed`: received 2147483648"),
        ({"speed": 1}, "Unknown: speed; expected seed, index, labels"),
        ({"num_images": 0}, "received 0 rows"),
    ],
)
def test_a_bad_request_is_refused(client, options, message):
    with pytest.raises(ValueError, match=message):
        client.generate(**{"num_images": 2, **options})
    assert client.calls == []


@pytest.mark.on_tensorflow
def test_images_of_another_size_are_refused(client):
    with pytest.raises(ValueError, match=r"received shape \(1, 5, 4, 1\); expected \(1, 4, 4, 1\)"):
        client.encode(np.zeros((1, 5, 4, 1), "uint8"))
    with pytest.raises(ValueError, match="no `decode`, only generate, encode"):
        client.decode(np.zeros((1, 2, 2, 3), "uint8"))
    with pytest.raises(ValueError, match="`images`: received nothing"):
        checked_rows({"images": IMAGES}, 1, {})
