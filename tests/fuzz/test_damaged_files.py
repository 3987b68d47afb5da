"""Damaged files end in a documented error: a short share always, 10,000 cases with `-m slow`."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from fuzz.formats import FORMATS
from fuzz.hunt import run_cases, table
from harness import PROJECT_ROOT

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("array_record")
pytestmark = pytest.mark.once

# Cases that build a model take the most time.
FEW = {
    "preset of a diffusion": 6,
    "preset of an autoencoder": 2,
    "published tensors": 3,
    "list of presets": 10,
    "unreadable list": 10,
}
NUM_CASES, NUM_PARTS = int(os.environ.get("KERAS_BLD_FUZZ_CASES", 10_000)), 4


@pytest.mark.parametrize("name", FORMATS)
def test_a_few_damaged_files(name):
    counts, failures = run_cases(range(FEW.get(name, 25)), [name])
    assert not failures, failures
    assert counts.total() == FEW.get(name, 25)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(NUM_PARTS))
def test_many_damaged_files(part, tmp_path, capsys):
    """In a process of its own: a file may bring it down, or take all memory."""
    count = NUM_CASES // NUM_PARTS
    result = tmp_path / "result.json"
    program = [sys.executable, str(PROJECT_ROOT / "tests" / "fuzz" / "hunt.py"), str(count)]
    finished = subprocess.run(
        [*program, "--first", str(part * count), "--limit-memory", "--json", str(result)],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env={**os.environ, "PYTHONPATH": f"{PROJECT_ROOT}:{PROJECT_ROOT / 'tests'}"},
    )
    case = (tmp_path / "result.json.now").read_text()
    assert result.exists(), f"ended with {finished.returncode} in case {case}:\n{finished.stderr}"
    found = json.loads(result.read_text())
    assert not found["failures"], finished.stdout
    with capsys.disabled():
        counts = Counter({(name, outcome): number for name, outcome, number in found["counts"]})
        print(f"\n{table(counts)}")
