import dataclasses
import json
import subprocess
import sys

import pytest
from harness import PROJECT_ROOT

from keras_bld.ablations import EXPERIMENTS, Study, run_study


def test_an_unknown_table():
    with pytest.raises(ValueError, match="table4.*table9|table9.*table4"):
        run_study("table9", Study(data="digits"))


def test_an_unknown_row(tmp_path):
    study = Study(data="digits", work_dir=str(tmp_path), image_size=16, rows=("binary", "ternary"))
    with pytest.raises(ValueError, match="rows.*ternary.*finite_scalar"):
        run_study("table4", study)


@pytest.mark.slow
def test_tables_share_what_they_train(tmp_path, capsys):
    study = Study(
        data="digits", work_dir=str(tmp_path), smoke=True, image_size=16, width_multipliers=(1, 2)
    )
    page = run_study("schedules", study).read_text()
    assert all(name in page for name in ("| linear |", "| cos |", "| sigmoid |"))
    rows = json.loads((tmp_path / "schedules.json").read_text())["rows"]
    assert rows["linear"][0]["steps"] == 4 and rows["linear"][0]["frechet_distance"] > 0
    trained = {path.name for path in (tmp_path / "diffusion").iterdir()}
    names = ("binary_diffusion", "cos", "sigmoid", "learned", "reconstructions")
    assert trained == {f"{name}-0" for name in names}
    assert rows["reconstructions"][0]["steps"] is None
    capsys.readouterr()
    # The same command again trains nothing and gives the same table.
    assert run_study("schedules", study).read_text() == page
    assert "Epoch" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_table_of_bottlenecks_needs_no_feature_network(tmp_path):
    study = Study(
        data="digits", work_dir=str(tmp_path), smoke=True, image_size=16, width_multipliers=(1, 2),
        rows=("binary", "binary_sharpness_5", "binary_reinmax", "finite_scalar"),
    )  # fmt: skip
    page = run_study("table4", study).read_text()
    rows = json.loads((tmp_path / "table4.json").read_text())["rows"]
    psnr = {rows[name][0]["psnr"] for name in ("binary", "binary_sharpness_5", "binary_reinmax")}
    assert len(psnr) == 3
    assert "| binary | 512 |" in page
    assert "| finite scalar |" in page and "vector quantized" not in page
    with pytest.raises(ValueError, match="image_channels=3 .there: 1.*work_dir=.NEW_FOLDER"):
        run_study("table4", dataclasses.replace(study, image_channels=3))
    assert not list(tmp_path.glob("feature_network*"))


@pytest.mark.once
def test_the_recipe_names_every_table():
    command = [sys.executable, "recipes/ablations.py", "--help"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for table in EXPERIMENTS:
        assert f"python recipes/ablations.py {table} --data" in done.stdout and table in done.stdout
