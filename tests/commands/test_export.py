import json

import pytest
from small_models import small_autoencoder

from keras_bld.__main__ import main
from keras_bld.serving import verify_export
from keras_bld.zoo import load_preset, save_preset


@pytest.mark.on_tensorflow
def test_a_preset_becomes_an_export(tmp_path, capsys):
    save_preset(small_autoencoder(), tmp_path / "preset", {"licence": "CC0-1.0"})
    main(["export", str(tmp_path / "preset"), str(tmp_path / "served"), "--format", "litert",
          "--weights", "float16", "--no-verify"])  # fmt: skip
    manifest = json.loads((tmp_path / "served" / "manifest.json").read_text())
    assert manifest["credits"]["licence"] == "CC0-1.0" and manifest["weights"] == "float16"
    assert "litert, float16 weights: " in capsys.readouterr().out
    different = verify_export(tmp_path / "served", load_preset(tmp_path / "preset"))
    assert set(different) == {"encode", "decode"} and different["encode"] < 0.05
