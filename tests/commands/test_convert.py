import json

import numpy as np
import pytest
import torch
from conversion import plain_torch
from conversion.plain_torch import AutoencoderSizes, DenoiserSizes

from keras_bld.__main__ import main
from keras_bld.zoo import load_preset

pytestmark = pytest.mark.once

AE_SIZES = AutoencoderSizes(image_size=4, code_channels=3)


@pytest.fixture
def files(tmp_path):
    """(autoencoder file, denoiser file); the denoiser belongs to the autoencoder."""
    autoencoder = dict(plain_torch.random_autoencoder(AE_SIZES))
    torch.save(autoencoder, tmp_path / "binaryae_ema_1.th")
    denoiser = dict(plain_torch.random_denoiser(DenoiserSizes(channels=3)))
    denoiser["embedding_weight"] = autoencoder["ae.quantize.embed.weight"]
    torch.save(denoiser, tmp_path / "bld_ema_1.th")
    return str(tmp_path / "binaryae_ema_1.th"), str(tmp_path / "bld_ema_1.th")


def test_autoencoder_becomes_a_preset(files, tmp_path, capsys):
    out = tmp_path / "preset"
    main(["convert", files[0], "--out", str(out), "--image-size", "4", "--licence", "MIT"])
    printed = capsys.readouterr().out
    assert "ae.quantize.proj.0" in printed and "unused shortcut" in printed
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["licence"] == "MIT"
    assert metadata["converted_from"]["file"] == "binaryae_ema_1.th"
    model = load_preset(out)
    codes = np.random.default_rng(0).integers(0, 2, (1, 3, 2, 2)).astype("float32")
    state = plain_torch.random_autoencoder(AE_SIZES)
    expected = plain_torch.decode(state, AE_SIZES, torch.tensor(codes)).numpy().clip(0, 1)
    images = model.decode(np.moveaxis(codes, 1, -1))
    np.testing.assert_allclose(np.moveaxis(images, -1, 1), expected, atol=2e-4)


@pytest.mark.parametrize("autoencoder", ["file", "preset", None])
def test_denoiser_becomes_a_preset(files, tmp_path, capsys, autoencoder):
    out = tmp_path / "preset"
    arguments = [
        "convert",
        files[1],
        "--out",
        str(out),
        "--num-heads",
        "2",
        "--num-training-steps",
        "8",
    ]
    arguments += ["--image-size", "4"]
    if autoencoder == "file":
        arguments += ["--autoencoder", files[0]]
    elif autoencoder == "preset":
        converted = tmp_path / "autoencoder"
        main(["convert", files[0], "--out", str(converted), "--image-size", "4"])
        arguments += ["--autoencoder", str(converted)]
    main(arguments)
    printed = capsys.readouterr().out
    assert "_denoise_fn.blocks.*.attn.qkv" in printed
    assert ("with --autoencoder" in printed) is (autoencoder is None)
    model = load_preset(out)
    assert model.code_shape == (2, 2, 3)
    if autoencoder is None:
        assert model.autoencoder is None
    else:
        assert model.generate(1, num_steps=2, seed=0).shape == (1, 4, 4, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"--num-heads": None}, "no shape tells"),
        ({"--num-training-steps": None}, "no noise schedule in the file"),
        ({"--num-heads": "3"}, "`width`"),
        ({"--kind": "autoencoder"}, "call `diffusion_from_published`"),
        ({"--autoencoder": "no such preset"}, "`preset`"),
        ({"--key": "ema"}, "`key`"),
    ],
)
def test_one_error_and_nothing_written(files, tmp_path, changes, message):
    out = tmp_path / "preset"
    options = {"--out": str(out), "--num-heads": "2", "--num-training-steps": "8"} | changes
    arguments = [word for pair in options.items() if pair[1] is not None for word in pair]
    with pytest.raises(SystemExit, match=f"error: Invalid .*{message}"):
        main(["convert", files[1], *arguments])
    assert not out.exists()


def test_truncated_file_leaves_an_older_preset_alone(files, tmp_path):
    out = tmp_path / "preset"
    arguments = ["convert", files[0], "--out", str(out), "--image-size", "4"]
    main(arguments)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with open(files[0], "r+b") as file:
        file.truncate(1000)
    with pytest.raises(SystemExit, match="error: Invalid `path`"):
        main(arguments)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
