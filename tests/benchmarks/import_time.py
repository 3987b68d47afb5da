"""What `import keras_bld` costs beyond `import keras`, for each backend that is installed.

    python tests/benchmarks/import_time.py --json -

Each measurement is a new process. CPU time is what the limit of 0.5 s in tests/test_imports.py is
about: on a busy machine the wall clock says little. Listed too: which of the large packages that a
user may never need the import loaded (the backend itself, which Keras loads, left out).
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys

from reporting import machine, parser, report

BACKENDS = ("tensorflow", "jax", "torch")
LARGE = ("tensorflow", "jax", "torch", "keras_cv", "tensorflow_datasets", "sklearn", "grain",
         "array_record", "openvino")  # fmt: skip

PROGRAM = """
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


def main():
    """Measure, print."""
    options = parser(__doc__)
    options.add_argument("--num-repeats", type=int, default=5, help="processes for each backend")
    options.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    arguments = options.parse_args()
    installed = [name for name in arguments.backends if importlib.util.find_spec(name)]
    runs = {backend: [] for backend in installed}
    for _ in range(arguments.num_repeats):
        for backend in installed:
            runs[backend].append(_run(backend))
    numbers = {**machine(), "medians_of": arguments.num_repeats}
    for backend, measured in runs.items():
        numbers[backend] = {
            f"{kind}_of_{module}": round(
                statistics.median(run[module][place] for run in measured), 3
            )
            for module in ("keras", "keras_bld")
            for place, kind in enumerate(("wall_seconds", "cpu_seconds"))
        }
        loaded = set(measured[0]["loaded"]) & set(LARGE)
        numbers[backend]["large_packages_loaded"] = sorted(loaded)
    report("import keras_bld, beyond import keras", numbers, arguments.json)


def _run(backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
    )
    return json.loads(finished.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
