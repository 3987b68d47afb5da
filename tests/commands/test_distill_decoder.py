import json

import numpy as np
import pytest
from PIL import Image
from small_models import small_autoencoder, small_diffusion

import keras_bld
from keras_bld.__main__ import main
from keras_bld.zoo import save_preset

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("numpy_initial_weights")]


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(0)
    for split, number in (("train", 24), ("val", 4)):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        for index in range(number):
            pixels = random.integers(0, 256, (8, 8, 3), "uint8")
            Image.fromarray(pixels).save(folder / f"{index}.png")
    return str(tmp_path / "data")


def test_a_preset_gets_a_small_decoder(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = small_diffusion(small_autoencoder())
    save_preset(before, tmp_path / "before", {"licence": "CC0-1.0"})
    out = tmp_path / "after"
    command = ["distill-decoder", str(tmp_path / "before"), "--data", pictures, "--out", str(out)]
    main([*command, "--num-steps", "3", "--share", "0.9"])
    assert "on 4 held-out codes" in capsys.readouterr().out
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["licence"] == "CC0-1.0"
    assert metadata["small_decoder"]["num_images"] == 24
    after = keras_bld.load_preset(out)
    full, small = (after.generate(2, seed=1, decoder=name) for name in ("full", "small"))
    np.testing.assert_array_equal(full, before.generate(2, seed=1))
    assert np.abs(full - small).max() > 1e-3
    codes = after.generate_codes(2, seed=1)
    np.testing.assert_array_equal(small, after.autoencoder.decode(codes, decoder="small"))

    sheets = []
    for name in ("full", "small"):
        sheets.append(tmp_path / f"{name}.png")
        asked = ["generate", str(out), "--num-images", "2", "--decoder", name]
        main([*asked, "--out", str(sheets[-1])])
    assert len({sheet.read_bytes() for sheet in sheets}) == 2

    folder = ["generate", str(out), "--num-images", "2", "--out-dir", str(tmp_path / "files")]
    main(folder)
    with pytest.raises(SystemExit) as caught:
        main([*folder, "--decoder", "small"])
    assert "decoder='small' (there: 'full')" in str(caught.value.code)
    with pytest.raises(SystemExit) as caught:
        main(["generate", str(tmp_path / "before"), "--decoder", "small", "--out", "x.png"])
    assert "no small decoder" in str(caught.value.code)
