"""What requests may say; Schemathesis against the OpenAPI document of the service."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from harness import PROJECT_ROOT

pytest.importorskip("fastapi")
from keras_bld.base.packing import pack_codes
from keras_bld.serving.service.requests import _code_pattern

pytestmark = pytest.mark.on_tensorflow


@pytest.mark.parametrize("num_channels", [3, 4, 7, 8, 13, 16])
def test_a_code_has_no_bits_beyond_its_channels(num_channels):
    pattern = _code_pattern((1, 2, num_channels))
    codes = np.random.default_rng(0).integers(0, 2, (50, 1, 2, num_channels))
    for packed in pack_codes(codes):
        assert re.search(pattern, packed.tobytes().hex())
    most = bytearray(pack_codes(np.ones((1, 2, num_channels))).tobytes())
    assert re.search(pattern, most.hex()) and not re.search(pattern, most.hex() + "00")
    if num_channels % 8:
        most[-1] += 1
        assert not re.search(pattern, most.hex())


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
