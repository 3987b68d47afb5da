"""TensorFlow's SavedModel in a folder that TensorFlow Serving takes as it is."""

import pathlib

import numpy as np

from keras_bld.base.quiet import without_notes
from keras_bld.serving.tensorflow_graphs import ServedWeights, graph_of

VERSION = "1"  # TensorFlow Serving looks for numbers below a model's folder
_WARM_UP = pathlib.Path("assets.extra") / "tf_serving_warmup_requests"


def write_saved_model(model, signatures, folder, batch_size, weights):
    """Write `folder`/1 with all signatures, and requests that warm a server up.

    Returns:
        Name of a part -> where it lies in `folder`.
    """
    import tensorflow as tf

    served = ServedWeights(model, weights)
    graphs = {
        name: graph_of(served.within(signature), batch_size, name, checked=True)
        for name, signature in signatures.items()
    }
    default = next(iter(graphs.values()))
    with without_notes():
        tf.saved_model.save(
            served.tracked,
            str(folder / VERSION),
            signatures={"serving_default": default, **graphs},
        )
    (folder / VERSION / _WARM_UP.parent).mkdir()
    write_warm_up(signatures, folder / VERSION / _WARM_UP, batch_size)
    return dict.fromkeys(signatures, VERSION)


def write_warm_up(signatures, path, batch_size=None):
    """A TFRecord of `PredictionLog`s: one request for each signature, which a server runs first.

    The messages are four levels of fields, written here so that the package
    `tensorflow-serving-api` is not needed (apis/prediction_log.proto, predict.proto, model.proto).
    """
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, signature in signatures.items():
            inputs = b"".join(
                _field(2, _field(1, key.encode()) + _field(2, _tensor(given, batch_size or 1)))
                for key, given in signature.inputs.items()
            )
            request = _field(1, _field(3, name.encode())) + inputs  # ModelSpec, then the map
            writer.write(_field(6, _field(1, request)))  # PredictionLog.predict_log.request


def _tensor(given, batch_size):
    """A `TensorProto` of allowed values."""
    import tensorflow as tf

    array = np.full((batch_size, *given.shape), max(given.low or 0, 0), given.dtype)
    return tf.make_tensor_proto(array).SerializeToString()


def _field(number, content):
    """A field of bytes in the wire format of protocol buffers."""
    return bytes([number << 3 | 2]) + _length(len(content)) + content


def _length(size):
    digits = bytearray()
    while size > 127:
        digits.append(size & 127 | 128)
        size >>= 7
    return bytes([*digits, size])
