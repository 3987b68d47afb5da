"""Signatures as graphs of TensorFlow, from which every format is made."""

import contextlib
import dataclasses

import keras

from keras_bld.serving.compression import compress, is_compressible


def graph_of(signature, batch_size=None, name=None, checked=False):
    """A concrete function: tensors by name -> {output: tensor}.

    Args:
        signature: a `Signature`.
        batch_size: rows of a call; None for any number.
        name: of the function.
        checked: whether the graph itself refuses inputs that the signature does not allow.
    """
    import tensorflow as tf

    def function(**inputs):
        if checked:
            inputs = _checked(signature, inputs)
        return {signature.output: tf.identity(signature.function(**inputs), name=signature.output)}

    function.__name__ = name or signature.output
    return tf.function(function, autograph=False).get_concrete_function(
        **specifications(signature, batch_size)
    )


def specifications(signature, batch_size=None):
    """Input's name -> `tf.TensorSpec`."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec(
            (batch_size, *given.shape) if given.has_rows else given.shape, given.dtype, name
        )
        for name, given in signature.inputs.items()
    }


def _checked(signature, inputs):
    """`inputs` behind assertions: shapes, equal numbers of rows, ranges, no NaN."""
    import tensorflow as tf

    tensors = {
        name: tf.ensure_shape(inputs[name], (None, *given.shape), name=f"shape_of_{name}")
        for name, given in signature.inputs.items()
    }
    first, *others = tensors
    count = tf.shape(tensors[first])[0]
    assertions = [_assertion(count > 0, first, "one or more rows")]
    for name in others:
        same = tf.equal(tf.shape(tensors[name])[0], count)
        assertions.append(_assertion(same, name, f"as many rows as `{first}`"))
    for name, given in signature.inputs.items():
        assertions += _assertions_of_values(name, given, tensors[name])
    with tf.control_dependencies(assertions):
        return {name: tf.identity(tensor) for name, tensor in tensors.items()}


def _assertions_of_values(name, given, tensor):
    import tensorflow as tf

    made = []
    if tensor.dtype.is_floating:
        made.append(_assertion(tf.reduce_all(tf.math.is_finite(tensor)), name, "finite numbers"))
    if given.low is not None and given.low > tensor.dtype.min:
        holds = tf.reduce_all(tensor >= tf.constant(given.low, tensor.dtype))
        made.append(_assertion(holds, name, f"numbers >= {given.low:g}"))
    if given.high is not None and given.high < tensor.dtype.max:
        holds = tf.reduce_all(tensor <= tf.constant(given.high, tensor.dtype))
        made.append(_assertion(holds, name, f"numbers <= {given.high:g}"))
    return made


def _assertion(condition, name, expected):
    import tensorflow as tf

    message = f"Invalid `{name}`: expected {expected}."
    return tf.debugging.Assert(condition, [message], name=f"check_{name}")


class ServedWeights:
    """The weights of a model as an object that TensorFlow saves, in fewer bits where asked.

    Args:
        model: a Keras model.
        dtype: one of `formats.WEIGHTS`.
    """

    def __init__(self, model, dtype):
        import tensorflow as tf

        self._scope = contextlib.nullcontext
        self.tracked = tf.Module()
        weights = {id(weight): weight for weight in model.weights}.values()
        if dtype == "float32":
            self.tracked.weights = [weight.value for weight in weights]
            return
        mapping, stored = [], []
        for weight in weights:
            value = weight.numpy()
            if not is_compressible(value):
                stored.append(weight.value)
                continue
            small, factors = compress(value, dtype)
            stored.append(tf.Variable(small, trainable=False))
            if factors is not None:
                factors = tf.Variable(factors, trainable=False)
                stored.append(factors)
            mapping.append((weight, stored[-1 if factors is None else -2], factors))
        self.tracked.weights = stored

        def scope():
            pairs = [
                (weight, tf.cast(small, "float32") * (1.0 if factors is None else factors))
                for weight, small, factors in mapping
            ]
            return keras.StatelessScope(state_mapping=pairs)

        self._scope = scope

    def within(self, signature):
        """`signature` with a function that reads these weights."""

        def function(**inputs):
            with self._scope():
                return signature.function(**inputs)

        return dataclasses.replace(signature, function=function)
