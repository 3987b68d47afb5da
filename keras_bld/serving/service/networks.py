"""The networks of a program, for any number of rows, with bits that depend on the row alone.

OpenVINO picks its kernels by the shape that it compiles for, and a number that was summed in
another order is another number. So each network is compiled for a few fixed numbers of rows,
smaller calls are filled up, and a size is used only after it gave the very bits of the first one
on this processor.
"""

import threading

import numpy as np

from keras_bld.base import checks
from keras_bld.serving.key_bias import key_bias
from keras_bld.serving.openvino_runtime import has_bfloat16, openvino_core
from keras_bld.serving.service.program import PARTS

# Fewer rows take other kernels where the processor has bfloat16, and cost as much.
SMALLEST = 2
_MOST_PIXELS = 2**20  # in one run of the encoder or decoder
_PRECISIONS = {"bfloat16": "bf16", "float32": "f32"}


class Network:
    """One graph, compiled for fixed numbers of rows.

    Args:
        core: `openvino.Core`.
        path: of the graph.
        settings: of the compilation.
        sizes: numbers of rows, rising; the first is compiled now or at its first use, the others
            by `grow`.
        at_once: compile the first size now.
    """

    def __init__(self, core, path, settings, sizes, at_once=True):
        self._core, self._path, self._settings = core, path, settings
        self._sizes = sizes
        self._lock = threading.Lock()  # a request of OpenVINO serves one caller at a time
        self._requests = {}
        self.refused = ()
        if at_once:
            self._first()

    @property
    def largest(self):
        """Most rows of one run so far."""
        self._first()
        return max(self._requests)

    def grow(self):
        """Compile for the next number of rows and take it if it gives the same bits.

        Returns:
            Whether there is another size to try.
        """
        self._first()
        tried = {*self._requests, *self.refused}
        size = next((size for size in self._sizes if size not in tried), None)
        if size is None:
            return False
        request = self._compile(size)
        rows = self._sample(size)
        if np.array_equal(request.infer(rows)[0], self(**rows)):
            self._requests[size] = request
        else:
            self.refused = (*self.refused, size)
        return True

    def __call__(self, **inputs):
        """Arrays with any number of rows by the inputs' names -> float32 array of as many rows."""
        count = len(next(iter(inputs.values())))
        largest = self.largest
        made = [
            self._run({name: array[start : start + largest] for name, array in inputs.items()})
            for start in range(0, count, largest)
        ]
        return np.concatenate(made)

    def _first(self):
        with self._lock:
            if not self._requests:
                self._requests[self._sizes[0]] = self._compile(self._sizes[0])

    def _run(self, inputs):
        count = len(next(iter(inputs.values())))
        size = min(size for size in self._requests if size >= count)
        if size > count:
            inputs = {
                name: np.concatenate([rows, np.repeat(rows[:1], size - count, axis=0)])
                for name, rows in inputs.items()
            }
        with self._lock:
            return self._requests[size].infer(inputs)[0][:count].copy()

    def _compile(self, size):
        graph = self._core.read_model(self._path)
        graph.reshape({node.any_name: _fixed(node, size) for node in graph.inputs})
        return self._core.compile_model(graph, "CPU", self._settings).create_infer_request()

    def _sample(self, size):
        """Rows to compare sizes with."""
        generator = np.random.default_rng(0)
        inputs = self._requests[self._sizes[0]].model_inputs
        return {
            node.any_name: generator.random((size, *list(node.shape)[1:]), "float32")
            for node in inputs
        }


def _fixed(node, size):
    return [size, *(axis.get_length() for axis in list(node.partial_shape)[1:])]


class Networks:
    """Denoiser, decoder and encoder of a program.

    Args:
        program: a `Program`.
        max_rows: most rows of one run.
        precision: "bfloat16" (float32 where the processor has none) or "float32".
        num_threads: of OpenVINO; 0 takes one for each core.
    """

    def __init__(self, program, max_rows=16, precision="bfloat16", num_threads=0):
        checks.check_choice("precision", precision, tuple(_PRECISIONS))
        core = openvino_core()
        if not has_bfloat16():
            precision = "float32"
        self.precision = precision
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": num_threads,
        }
        description = program.description
        self.code_shape = tuple(description["code_shape"])
        height, width, _ = description["image_shape"]
        of_images = min(max_rows, max(SMALLEST, _MOST_PIXELS // (height * width)))
        self._parts = {
            part: Network(
                core,
                program.directory / f"{part}.xml",
                settings,
                _sizes(max_rows if part == "denoiser" else of_images),
                at_once=part != "encoder",
            )
            for part in PARTS
        }
        self._arrays = program.arrays()
        self._num_tokens = description["num_tokens"]
        self.is_conditional = description["condition"] is not None

    @property
    def most_rows(self):
        """Most rows of the denoiser in one run so far."""
        return self._parts["denoiser"].largest

    def grow(self):
        """Compile one more size of each network; whether there are more."""
        return any([network.grow() for network in self._parts.values()])

    def refused(self):
        """Part -> sizes that gave other bits and are not used."""
        return {name: part.refused for name, part in self._parts.items() if part.refused}

    def logits(self, codes, time_steps, tokens=None, present=None):
        """Logits of the denoiser.

        Args:
            codes: z^t, float32 (rows, h, w, c).
            time_steps: integers (rows,).
            tokens: of a conditional model, float32 (rows, width), see `class_token`.
            present: booleans (rows,): whether a row has its condition.
        """
        height, width, channels = self.code_shape
        inputs = {
            "codes": codes.reshape(-1, height * width, channels),
            "time": self._arrays["times"][time_steps - 1][:, None],
        }
        if self.is_conditional:
            inputs["condition"] = tokens[:, None]
            inputs["key_bias"] = key_bias(present.reshape(-1, 1, 1, 1), self._num_tokens)
        return self._parts["denoiser"](**inputs).reshape(codes.shape)

    def no_token(self):
        """The token of a row without condition, which nobody sees."""
        return np.zeros(self._arrays["times"].shape[-1], "float32")

    def class_token(self, label):
        """The condition token of a class."""
        return self._arrays["classes"][label]

    def text_token(self, embedding):
        """The condition token of an embedded text."""
        return embedding @ self._arrays["text_kernel"] + self._arrays["text_bias"]

    def encode(self, images):
        """The likeliest codes of images: float32 in [0, 1] (rows, height, width, channels)."""
        features = self._parts["encoder"](images=images)
        # Row by row: the order of a matrix product's sums depends on the number of rows, too.
        logits = [row @ self._arrays["head_kernel"] + self._arrays["head_bias"] for row in features]
        return (np.stack(logits) > 0).astype("float32")

    def decode(self, codes):
        """Codes (rows, h, w, c) -> images, float32 in [0, 1]."""
        return self._parts["decoder"](latents=codes)


def _sizes(largest):
    sizes = [SMALLEST]
    while sizes[-1] * 2 <= largest:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes)
