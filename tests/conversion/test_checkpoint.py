import json
import os
import pickle
import struct
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from keras_bld.conversion import read_checkpoint

pytestmark = pytest.mark.once

TENSORS = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "a.bias": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "b": torch.tensor([0.25, 3.0], dtype=torch.bfloat16),
    "count": torch.tensor(7),
}
ARRAYS = {
    "a.weight": np.arange(6, dtype="float32").reshape(2, 3),
    "a.bias": np.array([1.5, -2.0]),
    "b": np.array([0.25, 3.0]),
    "count": np.array(7),
}


def check_arrays(arrays, expected=ARRAYS):
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        assert isinstance(arrays[name], np.ndarray)
        np.testing.assert_array_equal(arrays[name].astype("float64"), array)


@pytest.mark.parametrize("suffix", [".th", ".pt", ".pth"])
@pytest.mark.parametrize("zip_format", [True, False])
def test_torch_files(tmp_path, suffix, zip_format):
    path = tmp_path / f"model{suffix}"
    torch.save(TENSORS, path, _use_new_zipfile_serialization=zip_format)
    check_arrays(read_checkpoint(path))
    check_arrays(read_checkpoint(str(path)))


def test_safetensors_files(tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(TENSORS, path)
    check_arrays(read_checkpoint(path))


@pytest.mark.parametrize(
    "content, key",
    [
        ({"state_dict": TENSORS, "epoch": 3}, None),
        ({"model": {"x": torch.zeros(1)}, "ema": TENSORS}, None),
        ({"ema": {"x": torch.zeros(1)}, "model": TENSORS}, "model"),
        ({"generator": TENSORS, "epoch": 3}, "generator"),
        ({**TENSORS, "config": {"width": 3}, "note": "text"}, None),
    ],
)
def test_dictionaries_of_several_things(tmp_path, content, key):
    torch.save(content, tmp_path / "model.pt")
    check_arrays(read_checkpoint(tmp_path / "model.pt", key))


class Code:
    """Unpickling it would make a directory."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def pickled_code(path, target):
    torch.save({"weight": torch.zeros(2), "x": Code(target)}, path)


def plain_pickle(path, target):
    path.write_bytes(pickle.dumps(Code(target)))


@pytest.mark.parametrize("write", [pickled_code, plain_pickle])
def test_pickled_code_is_refused_and_never_runs(tmp_path, write):
    path, target = tmp_path / "model.th", tmp_path / "made by the checkpoint"
    write(path, target)
    with pytest.raises(ValueError, match="Invalid `path`.*this library never runs code"):
        read_checkpoint(path)
    assert not target.exists()
    # The file is dangerous indeed: another reader would have run it.
    torch.load(path, weights_only=False) if write is pickled_code else pickle.loads(
        path.read_bytes()
    )
    assert target.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("name", ["zip.th", "legacy.th", "model.safetensors"])
def test_truncated_files(tmp_path, name, share):
    path = tmp_path / name
    tensors = {"weight": torch.zeros(1000)}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name == "zip.th")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="(?s)Invalid `path`.*[Ff]etch"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content, key, message",
    [
        ({"state": {0: {}}, "param_groups": []}, None, "state of an optimizer"),
        ({"epoch": 3}, None, "a dict without tensors"),
        ([torch.zeros(2)], None, "a list without tensors"),
        ({"weights": TENSORS}, None, "pass key=..., one of `weights`"),
        ({"weights": TENSORS}, "model", "`key`: received 'model'.*pass one of `weights`"),
        ([torch.zeros(2)], "model", "`key`: received 'model'"),
    ],
)
def test_files_without_weights(tmp_path, content, key, message):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path / "model.pt", key)


def test_no_file_and_unknown_format(tmp_path):
    with pytest.raises(ValueError, match="Invalid `path`.*an existing file"):
        read_checkpoint(tmp_path / "model.th")
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a name ending in \.th, \.pt"):
        read_checkpoint(tmp_path / "model.h5")


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F4", "C64"])
def test_safetensors_of_other_types_are_refused(dtype, tmp_path):
    size = {"C64": 8, "F4": 0.5}.get(dtype, 1)
    tensor = {"dtype": dtype, "shape": [4], "data_offsets": [0, int(4 * size)]}
    header = json.dumps({"x": tensor}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(int(4 * size)))
    with pytest.raises(ValueError, match="Invalid `path`.*Fix: "):
        read_checkpoint(path)


def test_missing_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match="pip install .*safetensors"):
        read_checkpoint(tmp_path / "a.safetensors")
