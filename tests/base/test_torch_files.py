import sys
import zipfile

import numpy as np
import pytest

from keras_bld.base.torch_files import read_arrays, read_torch

pytestmark = pytest.mark.once


def save(content, path, zip_format=True):
    torch = pytest.importorskip("torch")
    torch.save(content, path, _use_new_zipfile_serialization=zip_format)
    return path


@pytest.mark.parametrize("content", ["foreign", "list", "bfloat16"])
def test_what_holds_no_plain_weights_is_refused(content, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    if content == "foreign":
        path.write_bytes(b"not weights")
        message = "cut short or of another format"
    else:
        tensor = torch.zeros(2, dtype=torch.bfloat16)  # NumPy has no such type
        save([tensor] if content == "list" else {"kernel": tensor}, path)
        message = "holds no mapping of names to plain tensors"
    with pytest.raises(ValueError, match=f"`heads`: received .*{message}.*Fix: fetch it there"):
        read_arrays(path, "heads", "fetch it there")


@pytest.mark.parametrize("zip_format", [True, False])
def test_weights_become_arrays_without_torch(zip_format, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    shared = torch.arange(12).reshape(3, 4)
    content = {
        **model.state_dict(),
        "transposed": shared.T,
        "part": shared[1:, 2:],
        "none": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2, dtype=torch.float64)),
    }
    path = save(content, tmp_path / "weights.pth", zip_format)
    monkeypatch.setitem(sys.modules, "torch", None)
    arrays = read_arrays(path, "heads", "fetch it there")
    assert list(arrays) == list(content)
    for name, tensor in content.items():
        expected = tensor.detach().numpy()
        assert arrays[name].dtype == expected.dtype
        np.testing.assert_array_equal(arrays[name], expected)


def test_containers_and_numbers_stay(tmp_path):
    torch = pytest.importorskip("torch")
    content = {"step": 3, "shape": torch.Size([2, 1]), "parts": [torch.ones(1), (None, "text")]}
    found = read_torch(save(content, tmp_path / "run.pth"))
    assert found == {"step": 3, "shape": (2, 1), "parts": [np.ones(1), (None, "text")]}


@pytest.mark.parametrize("zip_format", [True, False])
def test_a_tensor_larger_than_its_numbers_is_refused(zip_format, tmp_path):
    """A stride of 0 would make a terabyte of four bytes."""
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(1).expand(1 << 40)
    path = save({"kernel": tensor}, tmp_path / "weights.pth", zip_format)
    with pytest.raises(ValueError, match="a tensor of shape .* in 1 numbers"):
        read_torch(path)


def test_compressed_numbers_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    plain = save({"kernel": torch.zeros(1 << 16)}, tmp_path / "plain.pth")
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            kind = zipfile.ZIP_DEFLATED if "/data/" in name else zipfile.ZIP_STORED
            new.writestr(name, old.read(name), kind)
    with pytest.raises(ValueError, match="bytes of numbers in a file of|compressed"):
        read_torch(path)
