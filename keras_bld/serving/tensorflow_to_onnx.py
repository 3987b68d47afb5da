"""ONNX files, one for each part."""

import warnings

import numpy as np

from keras_bld.base.optional import import_optional
from keras_bld.serving.compression import compress, is_compressible, output_axis
from keras_bld.serving.tensorflow_graphs import specifications

_OPSET = 17


def write_onnx(model, signatures, folder, batch_size, weights):
    """Write each signature as a graph; see `tensorflow_saved_model.write_saved_model`."""
    onnx = import_optional("onnx", "export")
    files = {}
    for name, signature in signatures.items():
        graph = _convert(signature, batch_size)
        if weights != "float32":
            _compress(graph.graph, weights)
        files[name] = f"{name}.onnx"
        onnx.checker.check_model(graph)
        onnx.save(graph, folder / files[name])
    return files


def _convert(signature, batch_size):
    import tensorflow as tf
    from keras.src.export.tf2onnx_lib import patch_tf2onnx

    def function(*values):
        inputs = dict(zip(signature.inputs, values, strict=True))
        return tf.identity(signature.function(**inputs), name=signature.output)

    with warnings.catch_warnings():
        # tf2onnx asks for names that NumPy 2 no longer has, and for what protobuf calls old.
        warnings.simplefilter("ignore")
        patch_tf2onnx()
        tf2onnx = import_optional("tf2onnx", "export")
        graph, _ = tf2onnx.convert.from_function(
            tf.function(function, autograph=False),
            list(specifications(signature, batch_size).values()),
            opset=_OPSET,
            custom_op_handlers={"Erfc": (_erfc, [])},
        )
    _name_output(graph.graph, signature.output)
    return graph


def _erfc(context, node, name, arguments):
    """Erfc(x) = 1 - Erf(x): of the exact GELU; ONNX has only Erf."""
    node.type = "Erf"
    one = context.make_const(f"{name}_one", np.float32(1))
    inputs = [one.output[0], node.output[0]]
    return context.insert_new_node_on_output("Sub", node.output[0], name + "_sub", inputs=inputs)


def _name_output(graph, name):
    """Call the one output `name`."""
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = [name if text == output.name else text for text in node.output]
        node.input[:] = [name if text == output.name else text for text in node.input]
    output.name = name


def _compress(graph, dtype):
    """Put smaller initializers in place of the weights, with what makes float32 of them."""
    from onnx import TensorProto, helper, numpy_helper

    first = []
    for initializer in list(graph.initializer):
        array = numpy_helper.to_array(initializer)
        if not is_compressible(array):
            continue
        axis = output_axis(array)
        small, factors = compress(array, dtype, axis)
        name, stored = initializer.name, f"{initializer.name}_{dtype}"
        graph.initializer.remove(initializer)
        graph.initializer.append(numpy_helper.from_array(small, stored))
        if factors is None:
            first.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
            continue
        scale = f"{name}_scale"
        graph.initializer.append(numpy_helper.from_array(factors.reshape(-1), scale))
        first.append(
            helper.make_node("DequantizeLinear", [stored, scale], [name], axis=axis % array.ndim)
        )
    for node in reversed(first):
        graph.node.insert(0, node)
