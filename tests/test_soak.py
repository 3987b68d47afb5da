"""A recipe that is killed again and again ends as one that never was; see soak.py."""

import os
import subprocess
import sys

import keras
import pytest
from harness import PROJECT_ROOT

BACKEND = keras.backend.backend()


def soak(folder, *words):
    environment = {**os.environ, "KERAS_BACKEND": BACKEND}
    command = [sys.executable, PROJECT_ROOT / "tests" / "soak.py", folder, *words]
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.mark.skipif(BACKEND != "torch", reason="the others compile in each of the processes")
def test_a_few_kills(tmp_path):
    printed = soak(tmp_path / "run", "--stages", "diffusion", "--kills", "2", "--steps", "10")
    assert printed.count("killed: ") == 2 and " equal |" in printed


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="see above")
def test_a_few_kills_where_steps_compile(tmp_path):
    words = ("--stages", "diffusion", "--kills", "3", "--steps", "20", "--results")
    printed = soak(tmp_path / "run", *words)
    assert printed.count("killed: ") == 3 and printed.count(" equal |") == 2


@pytest.mark.slow
def test_twenty_kills_of_a_stage(tmp_path):
    stages = ["diffusion"] if BACKEND == "torch" else ["autoencoder", "diffusion"]
    printed = soak(tmp_path / "run", "--stages", *stages, "--kills", "20", "--results")
    assert printed.count(" equal |") == len(stages) + 1
