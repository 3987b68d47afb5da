"""The notebooks of docs/notebooks run, and hold the outputs of a run."""

import ast
import json
import os
import subprocess
import sys

import pytest
from harness import PROJECT_ROOT

sys.path.insert(0, str(PROJECT_ROOT / "docs"))
import notebook_pages  # noqa: E402

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
    assert [name[:2] for name in NOTEBOOKS] == ["01", "02", "03", "04"]
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
    """The first cell is that of docs/notebook_pages.py, and no cell knows this machine."""
    first, *others = ["".join(cell["source"]) for cell in code_cells(name)]
    assert first == notebook_pages.first_cell(), "run `make pages`"
    for source in others:
        ast.parse(source)
        assert str(PROJECT_ROOT) not in source and "/root" not in source


def asked_of_pip():
    """What the first cell asks IPython's %pip for, where the library is not installed."""
    asked = []
    code = notebook_pages.first_cell().replace('find_spec("keras_bld")', 'find_spec("not_there")')
    code = code.replace('%pip install -q "{requirement}"', "asked.append(requirement)")
    exec(code, {"asked": asked})
    return asked


@pytest.mark.once
def test_the_first_cell_finds_where_the_library_is(tmp_path, monkeypatch):
    name = "keras_bld[recipes,serve]"
    monkeypatch.delenv("KERAS_BLD_SOURCE", raising=False)
    monkeypatch.chdir(FOLDER)  # in a clone
    assert asked_of_pip() == [f"{name} @ {PROJECT_ROOT.as_uri()}"]
    (tmp_path / "content").mkdir()
    monkeypatch.chdir(tmp_path / "content")
    assert asked_of_pip() == [name]
    monkeypatch.setattr(notebook_pages, "PROJECT", tmp_path)
    project = '[project]\n[project.urls]\nRepository = "https://somewhere/keras_bld"\n'
    (tmp_path / "pyproject.toml").write_text(project)
    assert asked_of_pip() == [f"{name} @ git+https://somewhere/keras_bld"]
    monkeypatch.setenv("KERAS_BLD_SOURCE", "file:///wheels/keras_bld.whl")
    assert asked_of_pip() == [f"{name} @ file:///wheels/keras_bld.whl"]


@pytest.mark.once
def test_a_notebook_is_a_page_of_the_site():
    page, pictures = notebook_pages.page_of("01_both_stages", read(BOTH_STAGES))
    assert page.startswith("# Both stages") and "[01_both_stages.ipynb]" in page
    assert "autoencoder.fit(" in page and "(1437, 16, 16, 1) uint8" in page
    assert len(pictures) == page.count("![") > 5
    assert all(f"]({name})" in page and data[1:4] == b"PNG" for name, data in pictures.items())


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
