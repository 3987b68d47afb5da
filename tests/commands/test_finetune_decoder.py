import numpy as np
import pytest

from keras_bld.__main__ import main
from keras_bld.zoo import load_preset, read_metadata

pytestmark = pytest.mark.once


def test_a_preset_gets_a_finer_decoder(preset_of_folder, tmp_path, monkeypatch, capsys):
    preset, metadata = preset_of_folder
    monkeypatch.chdir(tmp_path)
    command = ["finetune-decoder", str(preset), "--out", "presets/fine", "--num-images", "30"]
    main([*command, "--num-steps", "2", "--batch-size", "4", "--perceptual", "none"])
    assert "held-out images: PSNR" in capsys.readouterr().out
    assert (tmp_path / "runs" / "fine" / "history.csv").is_file()
    before, after = load_preset(preset), load_preset("presets/fine")
    codes = before.generate_codes(2, labels=[0, 1], seed=0)
    np.testing.assert_array_equal(after.generate_codes(2, labels=[0, 1], seed=0), codes)
    images = [each.autoencoder.decode(codes) for each in (before, after)]
    assert np.abs(images[0] - images[1]).max() > 1e-4
    kept = read_metadata("presets/fine")
    assert kept["licence"] == "CC0-1.0" and kept["trained_on"] == metadata["trained_on"]
    record = kept["finetuned_decoder"]
    assert record["num_images"] == 30 and record["num_steps"] == 2
    assert record["before"] != record["after"]
