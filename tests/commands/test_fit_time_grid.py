import pytest

from keras_bld.__main__ import main
from keras_bld.zoo import load_preset, read_metadata

pytestmark = pytest.mark.once


def test_the_new_preset_samples_along_the_grid(preset_of_folder, model, tmp_path, capsys):
    preset, metadata = preset_of_folder
    words = ["fit-time-grid", str(preset), "--num-steps", "2", "--num-images", "30"]
    main(words)
    printed = capsys.readouterr().out
    main([*words, "--out", str(tmp_path / "fitted")])
    assert capsys.readouterr().out.startswith(printed) and not (tmp_path / "out").exists()
    steps = tuple(map(int, printed.splitlines()[0].removeprefix("--time-steps ").split()))
    assert len(steps) == 2 and steps[0] == model.num_training_steps
    fitted = load_preset(tmp_path / "fitted")
    assert fitted.sampling == model.sampling.replace(time_steps=steps)
    kept = read_metadata(tmp_path / "fitted")
    assert kept["licence"] == "CC0-1.0" and kept["weights_dtype"] == "float16"
    assert kept["trained_on"] == metadata["trained_on"]
    fingerprints = [
        read_metadata(tmp_path / name)["files"]["model.weights.h5"] for name in ("tiny", "fitted")
    ]
    assert fingerprints[0]["bytes"] == fingerprints[1]["bytes"]
