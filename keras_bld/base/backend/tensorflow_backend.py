"""TensorFlow: `tf.function`, compiled with XLA where there is a GPU."""

import platform

from keras import ops


class CompiledFunction:
    """Graph functions; see `keras_bld.base.backend.compile_function`.

    One for each set of shapes and dtypes. TensorFlow warns where the same code is traced again and
    again, also of traces that are meant; a callable that is no function is code of its own.
    """

    def __init__(self, function, variables):
        self.num_traces = 0
        self._function = function
        self._graphs = {}

    def __call__(self, *arguments, **named):
        arguments = [ops.convert_to_tensor(argument) for argument in arguments]
        named = {name: ops.convert_to_tensor(argument) for name, argument in named.items()}
        tensors = [*enumerate(arguments), *sorted(named.items())]
        key = tuple((name, *tensor.shape, tensor.dtype) for name, tensor in tensors)
        if key not in self._graphs:
            self._graphs[key] = self._graph()
        return self._graphs[key](*arguments, **named)

    def _graph(self):
        import tensorflow as tf

        has_gpu = bool(tf.config.list_logical_devices("GPU"))
        return tf.function(_Traced(self), autograph=False, jit_compile=has_gpu)


class _Traced:
    """What a graph is made of: the function, whose traces are counted."""

    def __init__(self, compiled):
        self._compiled = compiled

    def __call__(self, *arguments, **named):
        self._compiled.num_traces += 1
        return self._compiled._function(*arguments, **named)


def fuse_with_xla(function):
    """See `keras_bld.base.backend.fuse`."""
    import tensorflow as tf

    # Apple's plugin for its GPUs has no XLA; Keras's own jit_compile="auto" leaves it out there.
    has_metal = platform.system() == "Darwin" and tf.config.list_physical_devices("GPU")
    return tf.function(function, autograph=False, jit_compile=not has_metal)


def has_accelerator():
    """Whether there is a device beside the processor."""
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def device_bytes():
    """Bytes of memory of the first GPU: TensorFlow does not say."""
    return None
