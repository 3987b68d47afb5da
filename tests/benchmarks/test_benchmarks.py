"""The benchmarks run in small, and what they count (not: time) is right."""

import json
import os
import subprocess
import sys

import keras
import pytest
from harness import PROJECT_ROOT

pytestmark = pytest.mark.slow


def run(name, *options):
    """The JSON object that a benchmark prints."""
    finished = subprocess.run(
        [sys.executable, f"tests/benchmarks/{name}.py", "--json", "-", *map(str, options)],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return json.loads(finished.stdout)


def test_sampling_counts_one_denoiser_call_a_step():
    small = ("--depth", 1, "--width", 16, "--num-heads", 2, "--code-shape", 2, 2, 4)
    numbers = run("sampling", *small, "--batch-size", 3, "--num-repeats", 1)
    assert numbers["backend"] == keras.config.backend()
    assert numbers["denoiser_calls"] == {
        "16_steps": ["16 calls of batch 3"],
        "16_steps_guided": ["16 calls of batch 6"],
        "32_steps": ["32 calls of batch 3"],
        "32_steps_guided": ["32 calls of batch 6"],
    }
    assert numbers["traces_for_new_seed_temperature_guidance"] == 0


def test_code_store_measures_both_ways():
    small = ("--image-size", 32, "--base-width", 8, "--depth", 1, "--width", 16, "--num-heads", 2)
    numbers = run("code_store", *small, "--batch-size", 2, "--num-repeats", 2, "--num-batches", 2)
    assert numbers["sizes"]["code_shape"] == [2, 2, 32]
    steps = numbers["seconds_a_step"]
    assert 0 < steps["code_store"] and 0 < steps["on_the_fly"]
    ratio = steps["on_the_fly"] / steps["code_store"]
    assert numbers["ratio_of_steps"] == pytest.approx(ratio, abs=0.01)


def test_import_loads_nothing_large():
    backend = keras.config.backend()
    numbers = run("import_time", "--num-repeats", 1, "--backends", backend)
    assert numbers[backend]["large_packages_loaded"] == []
    assert 0 < numbers[backend]["cpu_seconds_of_keras_bld"]
    assert numbers[backend]["cpu_seconds_of_keras"] > 0.3
