import numpy as np
import pytest
import torch
from PIL import Image

from keras_bld.benchmark.torch_peer.cases import PeerCases

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("path", ["peer", "peer_bfloat16"])
def test_all_inference_cases(path):
    cases, names = PeerCases(path), []
    settings = {"model": "tiny", "batch": 2, "num_steps": 2}
    results = cases.generate(**settings, guided=True)(names.append)
    assert names == ["denoise", "decode"]
    assert results["codes"].shape == (2, 8, 8, 4) and results["images"].shape == (2, 16, 16, 3)
    codes = cases.denoise(**settings, guided=True)(None)["codes"]
    np.testing.assert_array_equal(codes.reshape(2, 8, 8, 4), results["codes"])
    assert cases.encode(model="tiny", batch=2)(None)["codes"].shape == (2, 8, 8, 4)
    images = cases.decode(model="tiny", batch=2)(None)["images"]
    assert images.dtype == np.float32 and 0 <= images.min() and images.max() <= 1
    assert all("threads" in setting for setting in cases.notes.values())


def test_training_cases():
    cases = PeerCases("peer")
    run = cases.train_diffusion(model="tiny", batch=2)
    assert run(None)["loss"] != run(None)["loss"]


def test_reading_makes_whole_batches(tmp_path, monkeypatch):
    from keras_bld.benchmark.torch_peer import loading

    for number in range(5):
        Image.new("RGB", (20 + number, 24), (10 * number, 0, 0)).save(tmp_path / f"{number}.jpg")
    monkeypatch.setattr(loading.os, "cpu_count", lambda: 0)  # no worker processes
    loader = torch.utils.data.DataLoader
    monkeypatch.setattr(
        torch.utils.data,
        "DataLoader",
        lambda *arguments, **settings: loader(
            *arguments, **settings | {"num_workers": 0, "persistent_workers": False}
        ),
    )
    batches = loading.loader_batches(tmp_path, 16, 2)
    for _ in range(3):
        batch = next(batches)
        assert batch.shape == (2, 16, 16, 3) and batch.dtype == torch.uint8
