import pytest

from keras_bld.base.torch_files import read_arrays

pytestmark = pytest.mark.once


@pytest.mark.parametrize("content", ["foreign", "list", "bfloat16"])
def test_what_holds_no_plain_weights_is_refused(content, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    if content == "foreign":
        path.write_bytes(b"not weights")
        message = "cannot read as plain weights"
    else:
        tensor = torch.zeros(2, dtype=torch.bfloat16)  # NumPy has no such type
        torch.save([tensor] if content == "list" else {"kernel": tensor}, path)
        message = "holds no mapping of names to plain tensors"
    with pytest.raises(ValueError, match=f"`heads`: received .*{message}.*Fix: fetch it there"):
        read_arrays(path, "heads", "fetch it there")


def test_weights_become_arrays(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"kernel": torch.ones(2, 3)}, tmp_path / "weights.pth")
    arrays = read_arrays(tmp_path / "weights.pth", "heads", "fetch it there")
    assert list(arrays) == ["kernel"] and arrays["kernel"].sum() == 6
