import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_bld.evaluation.classifier_file import load_classifier
from keras_bld.metrics import build_classifier

FIX = "train it again"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "tiny.keras"
    build_classifier((8, 8, 1), 3, width=4).save(path)
    return path


def rewrite(path, target, changes, compression=zipfile.ZIP_STORED):
    """The archive with members replaced ({name: bytes}; None leaves one out)."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return target


def config_with(path, change):
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    change(config)
    return {"config.json": json.dumps(config).encode()}


def weights_with(path, change):
    with zipfile.ZipFile(path) as archive:
        file = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(file, "r+") as opened:
        change(opened)
    return {"model.weights.h5": file.getvalue()}


def logits_of(config):
    return next(
        layer for layer in config["config"]["layers"] if layer["config"]["name"] == "logits"
    )


def not_finite(file):
    file["layers/dense/vars/0"][...] = np.nan


def claimed(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.Empty("f4")
    file.create_dataset("x", (10**11,), "f4")


FAULTS = {
    "a width of 10^9": lambda path: config_with(
        path, lambda config: logits_of(config)["config"].update(units=10**9)
    ),
    "a layer of code": lambda path: config_with(
        path, lambda config: logits_of(config).update(class_name="Lambda")
    ),
    "no config": lambda path: {"config.json": None},
    "an empty config": lambda path: {"config.json": b""},
    "a list": lambda path: {"config.json": b"[1]"},
    "another member": lambda path: {"assets/x": b"1"},
    "no weights": lambda path: {"model.weights.h5": None},
    "half of the weights": lambda path: {"model.weights.h5": b"\x89HDF\r\n\x1a\n"},
    "a size only claimed": lambda path: weights_with(path, claimed),
    "NaN": lambda path: weights_with(path, not_finite),
    "no features": lambda path: config_with(path, lambda config: config["config"]["layers"].pop()),
}


def test_a_classifier_comes_back(saved):
    images = np.random.default_rng(0).random((2, 8, 8, 1), dtype="float32")
    expected = keras.saving.load_model(saved).predict(images, verbose=0)
    np.testing.assert_array_equal(load_classifier(saved, FIX).predict(images, verbose=0), expected)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_classifier_is_named_and_what_to_do(fault, saved, tmp_path):
    path = rewrite(saved, tmp_path / "x.keras", FAULTS[fault](saved))
    with pytest.raises(ValueError, match=f"Invalid `network`: received `{path}`: .*Fix: {FIX}"):
        load_classifier(path, FIX)


@pytest.mark.parametrize("content", [b"", b"x", "half", "compressed"])
def test_what_is_no_such_archive(content, saved, tmp_path):
    path = tmp_path / "x.keras"
    if content == "compressed":
        rewrite(saved, path, {}, zipfile.ZIP_DEFLATED)
    else:
        half = saved.read_bytes()[: saved.stat().st_size // 2]
        path.write_bytes(half if content == "half" else content)
    with pytest.raises(ValueError, match=f"Invalid `network`: received `{path}`: .*Fix: {FIX}"):
        load_classifier(path, FIX)
