import os
import struct
import sys
import warnings
import zipfile

import numpy as np
import pytest

from keras_bld.base.torch_files import read_arrays, read_torch
from keras_bld.base.torch_pickle import Unsupported

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.once

GRID = torch.arange(12.0).reshape(3, 4)
PLAIN = {
    "double": GRID.double(),
    "half": GRID.half(),
    "transposed": GRID.T,
    "row": GRID[1:, 2],
    "number": torch.tensor(7),
    "flags": torch.tensor([True, False]),
    "bytes": torch.arange(3, dtype=torch.uint8),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(torch.ones(2)),
}
both_formats = pytest.mark.parametrize("is_zip", [True, False])


def save(content, path, is_zip=True, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of quantised tensors, which torch gives up
        torch.save(content, path, _use_new_zipfile_serialization=is_zip, **options)


@both_formats
@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_have_their_values_without_torch(is_zip, protocol, tmp_path, monkeypatch):
    save(PLAIN, tmp_path / "x.pth", is_zip, pickle_protocol=protocol)
    monkeypatch.setitem(sys.modules, "torch", None)
    arrays = read_arrays(tmp_path / "x.pth", "heads", "fetch it there")
    assert list(arrays) == list(PLAIN)
    for name, tensor in PLAIN.items():
        np.testing.assert_array_equal(arrays[name], tensor.detach().numpy(), strict=True)


@both_formats
def test_what_else_stands_in_a_training_checkpoint(is_zip, tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparse = GRID.to_sparse()
    content = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "numbers": [1, -2.5, 2**70, None, True, torch.Size([3, 2]), ("a", b"b")],
        "others": [torch.device("cpu"), torch.float32, {1, 2}, sparse, GRID.to(torch.complex64)],
        "last": torch.ones(3),
    }
    save(content, tmp_path / "x.pth", is_zip)
    found = read_torch(tmp_path / "x.pth")
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(found["model"][name], tensor.numpy())
    assert found["numbers"][:6] == [1, -2.5, 2**70, None, True, (3, 2)]
    assert all(isinstance(other, Unsupported) for other in found["others"])
    assert found["optimizer"]["state"][0]["step"] == 1
    np.testing.assert_array_equal(found["last"], np.ones(3))


@pytest.mark.parametrize("content", ["foreign", "list", "complex", "bfloat16", "empty"])
def test_what_holds_no_plain_weights_is_refused(content, tmp_path):
    path = tmp_path / "weights.pth"
    if content in ("foreign", "empty"):
        path.write_bytes({"foreign": b"not weights", "empty": b""}[content])
        message = "cannot be read as plain weights"
    else:
        dtype = torch.complex64 if content == "complex" else torch.bfloat16
        save([GRID] if content == "list" else {"kernel": GRID.to(dtype)}, path)
        message = "holds no mapping of names to plain tensors"
    with pytest.raises(ValueError, match=f"`heads`: received .*{message}.*Fix: fetch it there"):
        read_arrays(path, "heads", "fetch it there")


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


LIES = {
    "stride 0": lambda: GRID[0, :1].expand(10**5, 10**5),
    "a tensor of the class": lambda: Call(torch.Tensor, 10**12),
    "an array of bytes": lambda: Call(bytearray, 10**12),
    "beyond the storage": lambda: Call(
        torch._utils._rebuild_tensor_v2, torch.zeros(4)._typed_storage(), 0, (5,), (1,), False, {}
    ),
    "code": lambda: Call(os.mkdir, "never"),
    "eval": lambda: Call(eval, "1"),
}


@both_formats
@pytest.mark.parametrize("lie", LIES)
def test_files_that_claim_more_than_they_hold(lie, is_zip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save({"x": LIES[lie](), "y": GRID}, "x.pth", is_zip)
    if lie == "a tensor of the class":
        assert isinstance(read_torch("x.pth")["x"], Unsupported)
        return
    with pytest.raises(ValueError, match="Invalid `path`.*Fix: fetch"):
        read_torch("x.pth")
    assert os.listdir() == ["x.pth"]


def test_compressed_archives_are_refused_before_they_grow(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**7))
    assert path.stat().st_size < 20_000
    with pytest.raises(ValueError, match="a compressed archive.*Fix: "):
        read_torch(path)


def test_a_storage_that_claims_other_sizes_than_its_bytes(tmp_path):
    save({"x": GRID}, tmp_path / "x.pth", is_zip=False)
    content = (tmp_path / "x.pth").read_bytes()
    for number in (11, 2**40):
        changed = content[: -12 * 4 - 8] + struct.pack("<q", number) + content[-12 * 4 :]
        (tmp_path / "y.pth").write_bytes(changed)
        with pytest.raises(ValueError, match="numbers, claimed to be 12.*Fix: "):
            read_torch(tmp_path / "y.pth")


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02" + b"]q\x00" + b"h\x00a" * 3 + b".",  # a list that holds itself
        b"\x80\x02)" + b"\x85" * 10**5 + b".",  # nested 100,000 deep
        b"\x80\x02)" + b"2\x86" * 10**3 + b".",  # two of itself, a thousand times
        b"\x80\x02" + b"r\xff\xff\xff\x7f" + b".",  # keeps nothing, under a large number
        b"\x80\x02}(" + b")" * 3 + b"u.",  # tuples as keys
        b"\x80\x02X\xff\xff\xff\x7fx.",  # a text of two gigabytes
    ],
)
def test_strange_programs_end(program, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", program)
    with pytest.raises(ValueError, match="Invalid `path`.*Fix: "):
        read_torch(tmp_path / "x.pth")
        read_arrays(tmp_path / "x.pth", "path", "fetch it there")


@both_formats
def test_views_of_one_storage_may_not_multiply(is_zip, tmp_path):
    """10,000 names for the same million numbers: 40 GB to whoever copies them."""
    big, tied = torch.zeros(10**6), torch.ones(10**6)
    save({"a": tied, "b": tied, "c": tied.reshape(10**3, 10**3)}, tmp_path / "tied.pth", is_zip)
    assert len(read_torch(tmp_path / "tied.pth")) == 3
    save({str(i): big for i in range(10_000)}, tmp_path / "x.pth", is_zip)
    with pytest.raises(ValueError, match="bytes of tensors.*Fix: "):
        read_torch(tmp_path / "x.pth")
