import json

import numpy as np
import pytest
from harness import write_class_folders
from small_models import NUM_CLASSES, shapes, with_small_decoder

from keras_bld.__main__ import main
from keras_bld.base.images import to_uint8
from keras_bld.diffusion import Sampling
from keras_bld.zoo import save_preset


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


SMALL = (
    *("--network", "domain", "--num-images", 24),
    *("--network-epochs", 1, "--num-likelihood-images", 4),
)


@pytest.mark.slow
def test_a_card_and_a_sweep(model, data_folder, tmp_path, capsys):
    metadata = {
        "trained_on": {"name": "folder", "place": str(data_folder), "class_folders": True},
    }
    model.sampling = Sampling(3, temperature=0.7)
    save_preset(model, tmp_path / "tiny", metadata)
    out = tmp_path / "out"
    evaluate(tmp_path / "tiny", "--out", out, "--classifier-epochs", 0, *SMALL)
    card = json.loads((out / "card.json").read_text())
    # What the preset says of itself holds where the command says nothing.
    sampling = card["settings"]["sampling"]
    assert sampling["num_steps"] == 3 and sampling["temperature"] == 0.7
    assert card["preset"]["name"] == "tiny" and "sha256" in json.dumps(card["preset"]["files"])
    assert card["real"]["num_images"] == 36 and card["train"]["num_images"] == 48
    assert "recall" in capsys.readouterr().out
    evaluate(tmp_path / "tiny", "--out", out, "--sweep-num-steps", 2, 4, *SMALL)
    assert (out / "figure7.png").is_file()
    sweep = json.loads((out / "sweep.json").read_text())
    assert len(sweep["rows"]) == 2 and (out / "sweep_samples.png").is_file()
    against = ("--sweep-num-steps", 2, "--sweep-against", "train")
    evaluate(tmp_path / "tiny", "--out", out, *against, *SMALL)
    other = json.loads((out / "sweep.json").read_text())
    assert other["key"]["real"] == card["train"]["fingerprint"] != sweep["key"]["real"]
    assert len(other["rows"]) == 1


def test_an_autoencoder_alone(model, data_folder, tmp_path, monkeypatch, capsys):
    preset = tmp_path / "shapes" / "autoencoder" / "preset"
    # As presets said it before they kept a record.
    save_preset(model.autoencoder, preset, {"data_name": str(data_folder)})
    monkeypatch.chdir(tmp_path)
    evaluate(preset, *SMALL)
    assert "does not say how its data was split" in capsys.readouterr().out
    # Named after the run: stage 1 of every run is called the same.
    out = tmp_path / "runs" / "evaluation" / "shapes_autoencoder"
    card = json.loads((out / "card.json").read_text())
    assert card["preset"]["name"] == "shapes_autoencoder" and card["real"]["num_images"] == 36
    assert "dead_bits" in card["metrics"] and (out / "reconstructions.png").is_file()
    with pytest.raises(SystemExit) as caught:
        evaluate(preset, "--out", out, "--sweep-num-steps", 2, 4)
    assert "an autoencoder makes no images" in str(caught.value.code)


@pytest.mark.once
def test_the_small_decoder_is_measured(model, data_folder, tmp_path):
    autoencoder = with_small_decoder(model).autoencoder
    save_preset(autoencoder, tmp_path / "tiny", {"data_name": str(data_folder)})
    for decoder in ("full", "small"):
        out = tmp_path / decoder
        settings = ("--network", "none", "--num-images", 36, "--decoder", decoder)
        evaluate(tmp_path / "tiny", "--out", out, *settings)
        card = json.loads((out / "card.json").read_text())
        images = shapes(36, 1)[0]
        made = autoencoder.decode(autoencoder.encode(images), decoder=decoder)
        errors = np.mean((to_uint8(made) / 255.0 - images / 255.0) ** 2, axis=(1, 2, 3))
        psnr = np.mean(-10.0 * np.log10(errors))
        found = card["metrics"]["reconstruction_psnr_db"]["value"]
        assert card["preset"]["decoder"] == decoder and found == pytest.approx(psnr, abs=0.02)


def test_too_few_held_out_images_are_told_before_a_network_is_trained(model, tmp_path):
    save_preset(model, tmp_path / "tiny")
    names = [f"class_{label}" for label in range(NUM_CLASSES)]
    write_class_folders(tmp_path / "data", {"train": shapes(12, 0), "val": shapes(6, 1)}, names)
    with pytest.raises(SystemExit) as caught:
        evaluate(tmp_path / "tiny", "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert "received 6 held-out images; expected at least 10" in str(caught.value.code)
    assert "--data" in str(caught.value.code) and not (tmp_path / "out").exists()


def test_what_is_missing_is_said(model, tmp_path):
    save_preset(model, tmp_path / "tiny")
    for arguments, message in (
        ((tmp_path / "tiny",), "pass --data"),
        ((tmp_path / "tiny", "--data", "nowhere"), "no folder"),
        ((tmp_path / "absent", "--data", "digits"), "absent"),
    ):
        with pytest.raises(SystemExit) as caught:
            evaluate(*arguments, "--out", tmp_path / "out")
        assert message in str(caught.value.code)
    assert not (tmp_path / "out").exists()
