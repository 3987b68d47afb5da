"""OpenVINO's files: a pair of .xml and .bin for each part."""

import numpy as np

from keras_bld.serving.compression import compress, is_compressible, output_axis
from keras_bld.serving.tensorflow_graphs import graph_of


def write_openvino(model, signatures, folder, batch_size, weights):
    """Write each signature as a graph; see `tensorflow_saved_model.write_saved_model`."""
    import openvino

    files = {}
    for name, signature in signatures.items():
        graph = openvino.convert_model(graph_of(signature, batch_size, name))
        for output in graph.outputs:
            output.get_tensor().set_names({signature.output})
        if weights != "float32":
            _compress(graph, weights)
        files[name] = f"{name}.xml"
        openvino.save_model(graph, folder / files[name], compress_to_fp16=False)
    return files


def _compress(graph, dtype):
    """Put smaller constants in place of the weights, with what makes float32 of them."""
    import openvino
    from openvino import opset15 as o

    for node in graph.get_ordered_ops():
        if node.get_type_name() in ("Loop", "TensorIterator"):
            _compress(node.get_function(), dtype)
        elif node.get_type_name() == "If":
            for number in range(2):
                _compress(node.get_function(number), dtype)
        elif node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.f32:
            array = np.array(node.data)
            if is_compressible(array):
                small, factors = compress(array, dtype, output_axis(array))
                if dtype == "bfloat16":  # OpenVINO does not know NumPy's
                    held = o.constant(small.astype("float32"), openvino.Type.bf16)
                else:
                    held = o.constant(small)
                stored = o.convert(held, "f32")
                if factors is not None:
                    stored = o.multiply(stored, o.constant(factors))
                node.output(0).replace(stored.output(0))
