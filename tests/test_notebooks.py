"""The notebooks of docs/notebooks run, and hold the outputs of a run."""

import ast
import json
import os
import subprocess
import sys

import pytest
from harness import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
BOTH_STAGES = "01_both_stages"  # is shown on every backend
LARGEST_IN_ALL = 1_500_000  # bytes


def read(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text())


def code_cells(name):
    return [cell for cell in read(name)["cells"] if cell["cell_type"] == "code"]


@pytest.mark.once
def test_all_notebooks_are_there_and_small():
    assert [name[:2] for name in NOTEBOOKS] == ["01", "02", "04"]
    assert sum((FOLDER / f"{name}.ipynb").stat().st_size for name in NOTEBOOKS) < LARGEST_IN_ALL


@pytest.mark.once
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_are_those_of_one_whole_run(name):
    cells = code_cells(name)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert {output["name"] for output in outputs if "name" in output} <= {"stdout"}


@pytest.mark.once
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_opens_anywhere(name):
    """The first cell installs the library where it is missing, and no cell knows this machine."""
    first, *others = ["".join(cell["source"]) for cell in code_cells(name)]
    assert first == "".join(code_cells(BOTH_STAGES)[0]["source"])
    assert 'find_spec("keras_bld")' in first and "%pip install" in first
    for source in others:
        ast.parse(source)
        assert str(PROJECT_ROOT) not in source and "/root" not in source


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name if name == BOTH_STAGES else pytest.param(name, marks=pytest.mark.once)
        for name in NOTEBOOKS
    ],
)
def test_a_notebook_runs_at_smoke_size(name):
    pytest.importorskip("nbclient")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, str(FOLDER / "execute.py"), name, "--smoke"]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"{name}.ipynb: ran" in finished.stdout
