"""`--engine`: bulk work that was pickled, sent elsewhere and cut in pieces has the same results."""

import contextlib

import numpy as np
import pytest
from harness import write_class_folders
from ray_work import pickled_in_pieces
from small_models import small_autoencoder, small_diffusion

from keras_bld.__main__ import main
from keras_bld.commands import engine_options
from keras_bld.zoo import save_preset

once = pytest.mark.once
NUM_IMAGES = 11


@pytest.fixture
def elsewhere(monkeypatch):
    """What commands asked of `open_engine`; work is pickled, as for Ray, and runs in pieces."""
    asked = []

    @contextlib.contextmanager
    def open_engine(*options):
        asked.append(options)
        yield pickled_in_pieces

    monkeypatch.setattr(engine_options, "open_engine", open_engine)
    return asked


@pytest.fixture
def work(tmp_path, numpy_initial_weights):
    """A folder with `photos` of two classes, and the presets `autoencoder` and `diffusion`."""
    images = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 8, 8, 3), "uint8")
    labels = np.arange(NUM_IMAGES) % 2
    write_class_folders(tmp_path / "photos", {"train": (images, labels)}, ["cat", "dog"])
    autoencoder = small_autoencoder()
    save_preset(autoencoder, tmp_path / "autoencoder")
    save_preset(small_diffusion(autoencoder, num_classes=2), tmp_path / "diffusion")
    return tmp_path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


RAY = ("--engine", "ray", "--ray-address", "10.0.0.1:6379", "--num-workers", "2")


def test_encode(work, elsewhere, monkeypatch):
    command = ["encode", work / "autoencoder", "--data", work / "photos", "--split", "all",
               "--batch-size", 2, "--num-shards", 3]  # fmt: skip
    main([*map(str, command), "--out", str(work / "ray"), *RAY])
    assert elsewhere == [("ray", "10.0.0.1:6379", 2)]
    monkeypatch.undo()
    main([*map(str, command), "--out", str(work / "plain")])
    assert len(content(work / "plain")) == 4
    assert content(work / "ray") == content(work / "plain")


def test_generate_files(work, elsewhere, monkeypatch):
    command = ["generate", str(work / "diffusion"), "--batch-size", "2", "--seed", "3"]
    main([*command, "--out-dir", str(work / "ray"), "--num-images", "5", *RAY])
    assert elsewhere == [("ray", "10.0.0.1:6379", 2)]
    monkeypatch.undo()
    # Here goes on what was begun elsewhere.
    for folder in ("ray", "plain"):
        main([*command, "--out-dir", str(work / folder), "--num-images", "9"])
    assert len(content(work / "plain")) == 10
    assert content(work / "ray") == content(work / "plain")


def test_generate_a_store(work, elsewhere, monkeypatch):
    command = ["generate", str(work / "diffusion"), "--batch-size", "2", "--num-images", "7"]
    main([*command, "--out-store", str(work / "ray"), *RAY])
    assert elsewhere == [("ray", "10.0.0.1:6379", 2)]
    monkeypatch.undo()
    main([*command, "--out-store", str(work / "plain")])
    assert content(work / "ray") == content(work / "plain")


@once
def test_a_sheet_is_made_here(work, capsys):
    command = ["generate", str(work / "diffusion"), "--out", str(work / "sheet.png"), *RAY]
    with pytest.raises(SystemExit, match="'ray' with --out; expected 'local' for a sheet"):
        main(command)
    with pytest.raises(SystemExit, match="this option for the engine 'ray' alone"):
        main(["generate", str(work / "diffusion"), "--out-dir", str(work / "x"), *RAY[2:]])
