"""One OpenVINO graph, compiled from a network's weights and compiled again when they change."""

import threading
import zlib

import numpy as np
from keras import ops

from keras_bld.serving.openvino_runtime import has_bfloat16, openvino_core

PRECISIONS = {"bfloat16": "bf16", "float32": "f32"}
_NUM_SAMPLED = 64  # values of each variable that go into its fingerprint


class Program:
    """Runs a graph on the processor, with the weights that the network has at `refresh`.

    Args:
        build: callable without arguments that returns an `openvino.Model` with one output; the
            network's weights become constants of it.
        variables: callable without arguments that returns the network's variables.
        precision: "bfloat16" or "float32". Where the processor has no bfloat16, OpenVINO would
            imitate it slowly, so float32 is taken.

    Attributes:
        num_compilations: how many times the graph was compiled.
    """

    def __init__(self, build, variables, precision):
        self._build = build
        self._variables = variables
        self._precision = precision
        self._lock = threading.Lock()  # an inference request serves one caller at a time
        self.num_compilations = 0
        self._compile()

    def refresh(self):
        """Compile again if the weights are no longer those that were compiled.

        Weights are compared by up to 64 values of each variable: training, `load_weights` and
        `set_weights` are seen; an assignment to a few single entries may not be.

        Returns:
            Whether it was compiled again.
        """
        with self._lock:
            stale = fingerprint(self._variables()) != self._fingerprint
            if stale:
                self._compile()
        return stale

    def __call__(self, **inputs):
        """Arrays by the inputs' names -> the output, a float32 array of its own."""
        with self._lock:
            return self._request.infer(inputs)[0]

    def _compile(self):
        precision = PRECISIONS[self._precision]
        if not has_bfloat16():
            precision = "f32"
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        self._fingerprint = fingerprint(self._variables())
        compiled = openvino_core().compile_model(self._build(), "CPU", settings)
        self._request = compiled.create_infer_request()
        self.num_compilations += 1


def fingerprint(variables):
    """A number that changes when the variables do; see `Program.refresh`."""
    number = 0
    for variable in variables:
        # np.asarray shares the memory where it can: large weights are not copied.
        value = ops.stop_gradient(ops.cast(variable.value, "float32"))
        flat = np.asarray(value).reshape(-1)
        number = zlib.crc32(flat[:: max(1, flat.size // _NUM_SAMPLED)].tobytes(), number)
    return number
