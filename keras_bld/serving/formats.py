"""The formats of an export, as a table. Each is written by TensorFlow, whatever the backend."""

from dataclasses import dataclass

WEIGHTS = ("float32", "float16", "bfloat16", "int8")


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Args:
        runtime: the package that runs it.
        loops: whether its graph holds the loop of denoising and the noise of a seed; else the
            client loops over one step.
        weights: the types in which it stores weights.
        packages: modules that write it, and the one that runs it.
    """

    runtime: str
    loops: bool
    weights: tuple = WEIGHTS
    packages: tuple = ()


FORMATS = {
    "tf_saved_model": Format("tensorflow", loops=True),
    "openvino": Format("openvino", loops=True, packages=("openvino",)),
    "onnx": Format("onnxruntime", loops=False, packages=("onnx", "tf2onnx", "onnxruntime")),
    # Its converter knows no bfloat16.
    "litert": Format(
        "ai_edge_litert",
        loops=False,
        weights=("float32", "float16", "int8"),
        packages=("ai_edge_litert",),
    ),
}
