"""TensorFlow: `tf.function`, compiled with XLA where there is a GPU."""

from keras import ops


class CompiledFunction:
    """A graph function; see `keras_bld.backend.compile_function`."""

    def __init__(self, function, variables):
        import tensorflow as tf

        self.num_traces = 0

        def run(*arguments):
            self.num_traces += 1
            return function(*arguments)

        has_gpu = bool(tf.config.list_logical_devices("GPU"))
        self._run = tf.function(run, autograph=False, jit_compile=has_gpu)

    def __call__(self, *arguments):
        return self._run(*[ops.convert_to_tensor(argument) for argument in arguments])


def fuse_with_xla(function):
    """See `keras_bld.backend.fuse`."""
    import tensorflow as tf

    return tf.function(function, autograph=False, jit_compile=True)
