import pytest

from keras_bld.__main__ import main
from keras_bld.zoo import load_preset, read_metadata

pytestmark = pytest.mark.once


def test_a_preset_gets_a_student(preset_of_folder, tmp_path, monkeypatch, capsys):
    preset, metadata = preset_of_folder
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "student"
    words = ["distill", str(preset), "--num-steps", "2", "--out", str(out)]
    main([*words, "--training-steps", "2", "--batch-size", "8", "--num-images", "30"])
    assert f"{out}: samples in 2 steps" in capsys.readouterr().out
    assert (tmp_path / "runs" / "student" / "history.csv").is_file()
    student, kept = load_preset(out), read_metadata(out)
    assert student.sampling.num_steps == 2 and student.sampling.temperature == 1.0
    assert student.generate(2, labels=[0, 1], seed=0).shape == (2, 16, 16, 1)
    assert kept["licence"] == "CC0-1.0" and kept["trained_on"] == metadata["trained_on"]
    assert kept["distilled"]["teacher_preset"] == str(preset)
    assert kept["distilled"]["num_images"] == 30
