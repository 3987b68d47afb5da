"""The start section: what comes before the first image (import, first call, memory, traces)."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys

from keras_bld.benchmark.models import model_sizes

BACKENDS = ("tensorflow", "jax", "torch")
LARGE = ("tensorflow", "jax", "torch", "keras_cv", "tensorflow_datasets", "sklearn", "grain",
         "array_record", "openvino")  # fmt: skip
_NUM_STEPS = 16

_IMPORTING = """
import json, sys, time
def measure(module):
    begun = time.perf_counter(), time.process_time()
    __import__(module)
    return time.perf_counter() - begun[0], time.process_time() - begun[1]
keras = measure("keras")
before = set(sys.modules)
library = measure("keras_bld")
loaded = sorted({name.split(".")[0] for name in set(sys.modules) - before})
print(json.dumps({"keras": keras, "keras_bld": library, "loaded": loaded}))
"""


def start(benchmark):
    """Import, the first and the later calls of `generate`, peak memory, and traces.

    Each path is a fresh process; the 1024 x 1024 model makes one image in another.
    """
    rows = imports(benchmark.num_repeats)
    ours = [path for path in benchmark.paths if path in ("keras", "openvino")]
    for model, batch in benchmark.models_and_batches:
        for path in benchmark.paths:
            case = "generate_in_one_call" if path in ours else "generate"
            row = _first_and_later(benchmark, path, case, model, batch)
            if row:
                rows.append(row)
    if "keras" in ours:
        with benchmark.team(paths=ours) as team:
            settings = {"model": benchmark.model, "batch": 2, "num_steps": 2}
            for path in team.prepare("retraces", "retraces", settings):
                count = int(team.results(path, "retraces")["retraces"])
                name = "traces for another seed, temperature, guidance scale or labels"
                rows.append({"name": f"{name}, {path}", "retraces": count})
            benchmark.remember(team)
    return rows


def imports(num_repeats, backends=BACKENDS):
    """What `import keras_bld` costs beyond `import keras`, each time in a new process.

    CPU time is what the limit of 0.5 s in tests/test_imports.py is about: on a busy machine the
    wall clock says little.
    """
    installed = [name for name in backends if importlib.util.find_spec(name)]
    runs = {backend: [] for backend in installed}
    for _ in range(num_repeats):
        for backend in installed:
            runs[backend].append(_import(backend))
    rows = []
    for backend, measured in runs.items():
        row = {"name": f"import, {backend}"}
        for module in ("keras", "keras_bld"):
            for place, kind in enumerate(("wall_seconds", "cpu_seconds")):
                median = statistics.median(run[module][place] for run in measured)
                row[f"{kind}_of_{module}"] = round(median, 3)
        row["large_packages_loaded"] = sorted(set(measured[0]["loaded"]) & set(LARGE))
        rows.append(row)
    return rows


def _import(backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    finished = subprocess.run(
        [sys.executable, "-c", _IMPORTING],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])


def _first_and_later(benchmark, path, case, model, batch):
    side = model_sizes(model)["autoencoder"]["image_shape"][0]
    name = f"generate {side}, batch {batch}, {_NUM_STEPS} steps, {path}"
    settings = {"model": model, "batch": batch, "num_steps": _NUM_STEPS}
    with benchmark.team(paths=(path,)) as team:
        prepared = team.prepare(name, case, settings)
        answers = team.interleave([(path, name)] if prepared else [], benchmark.num_repeats)
        benchmark.remember(team)
        if not answers:
            return None
        later = statistics.median(answer["seconds"] for answer in answers[path, name])
        return {
            "name": name,
            "image_size": side,
            "path": path,
            "build_seconds": round(prepared[path]["build_seconds"], 3),
            "first_call_seconds": round(prepared[path]["first_seconds"], 3),
            "later_call_seconds": round(later, 3),
            "peak_gib": team.describe()[path]["peak_gib"],
        }
