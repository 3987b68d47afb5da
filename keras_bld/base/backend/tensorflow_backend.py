"""TensorFlow: `tf.function`, compiled with XLA where there is a GPU."""

import platform

from keras import ops


class CompiledFunction:
    """A graph function; see `keras_bld.base.backend.compile_function`."""

    def __init__(self, function, variables):
        import tensorflow as tf

        self.num_traces = 0

        def run(*arguments, **named):
            self.num_traces += 1
            return function(*arguments, **named)

        has_gpu = bool(tf.config.list_logical_devices("GPU"))
        self._run = tf.function(run, autograph=False, jit_compile=has_gpu)

    def __call__(self, *arguments, **named):
        named = {name: ops.convert_to_tensor(argument) for name, argument in named.items()}
        return self._run(*[ops.convert_to_tensor(argument) for argument in arguments], **named)


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
