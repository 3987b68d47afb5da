"""The machine's limit: the fastest matrix products, at the shapes of a denoiser's layers."""

import importlib.util

import numpy as np

from keras_bld.base.processor import has_gpu

_NUM_CHAINS = 3  # in one run; the fastest of all counts
_NUM_PAIRS = 6  # of an expanding and a contracting product, so that ends weigh little
LIBRARIES = ("torch", "openvino")


class LimitCases:
    """Cases of the path "limit"; see `KerasCases`."""

    def __init__(self, path):
        self.notes = {}

    def product(self, library, precision, rows, width):
        """Products (rows, width) x (width, 4 width) and back, `_NUM_PAIRS` times."""
        matrices = _matrices(width)
        if library == "torch":
            from keras_bld.benchmark.torch_peer.gemm import product_chain

            chain = product_chain(matrices, rows, precision)
        else:
            chain = _openvino_chain(matrices, rows, precision)

        def run(lap):
            for number in range(_NUM_CHAINS):
                chain()
                lap(str(number))
            return {}

        return run


def product_flops(rows, width):
    """Operations of one chain of products; a run of the case `product` has a lap for each."""
    return 2 * _NUM_PAIRS * 2 * rows * width * 4 * width


def available_libraries():
    """Names of the libraries that are installed, and run where ours does."""
    libraries = LIBRARIES[:1] if has_gpu() else LIBRARIES
    return [name for name in libraries if importlib.util.find_spec(name)]


def has_bfloat16():
    """Whether the processor multiplies bfloat16 natively; where not, it is imitated, slowly."""
    if importlib.util.find_spec("openvino"):
        from keras_bld.serving import openvino_runtime

        return openvino_runtime.has_bfloat16()
    if importlib.util.find_spec("torch"):
        from keras_bld.benchmark.torch_peer import gemm

        return gemm.has_bfloat16()
    return False


def _matrices(width):
    generator = np.random.default_rng(0)

    def matrix(inputs, outputs):
        return (generator.standard_normal((inputs, outputs)) * inputs**-0.5).astype("float32")

    pairs = [(matrix(width, 4 * width), matrix(4 * width, width)) for _ in range(_NUM_PAIRS)]
    return [matrix for pair in pairs for matrix in pair]


def _openvino_chain(matrices, rows, precision):
    import openvino
    from openvino import opset13 as ops

    from keras_bld.serving.openvino_runtime import openvino_core

    start = ops.parameter([rows, len(matrices[0])], np.float32)
    x = start
    for matrix in matrices:
        x = ops.matmul(x, ops.constant(matrix), False, False)
    hint = "bf16" if precision == "bfloat16" else "f32"
    settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino_core().compile_model(openvino.Model([x], [start]), "CPU", settings)
    request = compiled.create_infer_request()
    ones = np.ones((rows, len(matrices[0])), "float32")
    return lambda: request.infer({0: ones}, share_inputs=True, share_outputs=True)
