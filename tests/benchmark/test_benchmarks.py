"""The benchmark command runs in small, in real processes; what it counts (not: time) is right."""

import json
import os
import subprocess
import sys

import keras
import pytest
from harness import PROJECT_ROOT

from keras_bld.benchmark.machine_limit import has_bfloat16
from keras_bld.benchmark.sections import Benchmark
from keras_bld.benchmark.start_section import imports, start

pytestmark = pytest.mark.slow
BACKEND = keras.config.backend()


def run(*words):
    """The JSON object that the command prints."""
    finished = subprocess.run(
        [sys.executable, "-m", "keras_bld", "benchmark", "--model", "tiny", "--json", "-", *words],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env={**os.environ, "KERAS_BACKEND": BACKEND},
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return json.loads(finished.stdout)


def test_denoising_beside_the_peer_and_the_limit():
    numbers = run("--only", "denoise", "--batch", "2", "--num-repeats", "2")
    assert numbers["backend"] == BACKEND
    failures = numbers["notes"]["failures"]
    assert not [name for name in failures if not name.startswith("openvino")], failures
    (row,) = numbers["sections"]["denoise"]
    bfloat16 = has_bfloat16()
    assert {"keras", "peer", *(["peer_bfloat16"] if bfloat16 else [])} <= set(row["seconds"])
    assert numbers["denoise_step_seconds"] == row["seconds"][numbers["denoise_path"]] > 0
    ratio = row["seconds"]["peer"] / numbers["denoise_step_seconds"]
    assert numbers["peer_denoise_ratio"] == pytest.approx(ratio, abs=0.02)
    assert set(row["gemm_gflops"]) == {"float32", *(["bfloat16"] if bfloat16 else [])}


def test_data_and_training_sections():
    numbers = run("--only", "data", "train", "--batch", "2", "--num-repeats", "1")
    assert numbers["notes"]["failures"] == {}
    files, camera, codes, from_store, on_the_fly = numbers["sections"]["data"]
    for row in (files, camera):
        assert row["images_per_second"]["keras"] > 0 and row["images_per_second"]["peer"] > 0
    ours, peer = (camera["images_per_second"][path] for path in ("keras", "peer"))
    assert ours > 2 * peer  # large JPEGs are decoded smaller
    assert codes["batches_per_second"]["keras"] > 0
    ratio = on_the_fly["seconds"]["keras"] / from_store["seconds"]["keras"]
    assert on_the_fly["times_from_store"] == pytest.approx(ratio, abs=0.01)
    stages = numbers["sections"]["train"]
    assert [set(row["seconds"]) for row in stages] == [{"keras", "peer"}] * 2


def test_starting_and_its_memory():
    rows = start(Benchmark("tiny", (2,), num_repeats=1, paths=("keras",)))
    calls = [row for row in rows if "first_call_seconds" in row]
    assert [row["image_size"] for row in calls] == [16, 32]
    for row in calls:
        assert row["later_call_seconds"] < row["first_call_seconds"] or BACKEND == "torch"
        assert 0.1 < row["peak_gib"] < 10
    assert [row["retraces"] for row in rows if "retraces" in row] == [0]


def test_import_loads_nothing_large():
    (row,) = imports(1, (BACKEND,))
    assert row["large_packages_loaded"] == []
    assert 0 < row["cpu_seconds_of_keras_bld"]
    assert row["cpu_seconds_of_keras"] > 0.3
