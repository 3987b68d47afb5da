"""LiteRT files (.tflite), one for each part."""

from keras_bld.serving.tensorflow_graphs import graph_of


def write_litert(model, signatures, folder, batch_size, weights):
    """Write each signature as a graph; see `tensorflow_saved_model.write_saved_model`."""
    import tensorflow as tf

    files = {}
    for name, signature in signatures.items():
        graph = graph_of(signature, batch_size, name)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
        if weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        files[name] = f"{name}.tflite"
        (folder / files[name]).write_bytes(converter.convert())
    return files
