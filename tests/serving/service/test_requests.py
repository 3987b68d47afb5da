"""Schemathesis against the OpenAPI document of the service."""

import os
import pathlib
import subprocess
import sys

import pytest
from harness import PROJECT_ROOT

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "options",
    [
        # Chosen values at the borders of each schema, the rest at random.
        ["--phases", "fuzzing", "--max-examples", "5"],
        pytest.param(["--max-examples", "60"], marks=pytest.mark.slow),
    ],
)
def test_schemathesis_finds_nothing(service, options, tmp_path):
    pytest.importorskip("schemathesis")
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    finished = subprocess.run(
        [program, "run", f"http://127.0.0.1:{service.port}/openapi.json", "--no-color",
         "--seed", "1", "--suppress-health-check", "all", *options],
        env={
            **os.environ,
            "PYTHONPATH": os.fspath(PROJECT_ROOT / "tests"),
            "SCHEMATHESIS_HOOKS": "serving.service.schemathesis_pictures",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-2000:]
    assert "No issues found" in finished.stdout and "8 passed" in finished.stdout, finished.stdout
