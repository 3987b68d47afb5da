"""TensorFlow: `tf.function`, compiled with XLA where there is a GPU."""

import functools
import platform

import numpy as np
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


def replica():
    """See `keras_bld.base.backend.replica`."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:  # a strategy's scope, but no step
        return 0, 1
    return context.replica_id_in_sync_group, context.num_replicas_in_sync


def strategy_size():
    """See `keras_bld.base.backend.strategy_size`."""
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(x):
    """See `keras_bld.base.backend.sum_over_replicas`."""
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, x)


def several_workers():
    """See `keras_bld.base.backend.several_workers`."""
    import tensorflow as tf

    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def process():
    """See `keras_bld.base.backend.process`."""
    import tensorflow as tf

    if not several_workers():
        return 0, 1
    resolver = tf.distribute.get_strategy().cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    num_chiefs = len(jobs.get("chief", ()))
    index = resolver.task_id + (num_chiefs if resolver.task_type == "worker" else 0)
    return index, max(1, num_chiefs + len(jobs.get("worker", ())))


def largest_of_processes(number):
    """See `keras_bld.base.backend.largest_of_processes`."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    gathered = _gather_in(strategy)(tf.constant([number], tf.int32))
    return int(tf.reduce_max(strategy.experimental_local_results(gathered)[0]))


@functools.cache
def _gather_in(strategy):
    """A graph: the numbers with which all processes of a strategy call it."""
    import tensorflow as tf

    def gather(number):
        mine = tf.identity(number)  # on this replica's device
        return tf.distribute.get_replica_context().all_gather(mine, axis=0)

    return tf.function(lambda number: strategy.run(gather, (number,)), autograph=False)


def keep_reads_before_updates(optimizer):
    """See `keras_bld.base.backend.keep_reads_before_updates`."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if "_all_reduce_sum_gradients" in vars(optimizer):
        return
    sum_gradients = optimizer._all_reduce_sum_gradients

    def sum_of_several(gradients_and_variables):
        if strategy_size() == 1:
            return gradients_and_variables
        return sum_gradients(gradients_and_variables)

    optimizer._all_reduce_sum_gradients = sum_of_several


def whole_array(variable):
    """See `keras_bld.base.backend.whole_array`."""
    import tensorflow as tf

    with tf.init_scope():  # its value also where a graph is made
        value = variable.value
        if hasattr(type(value), "values"):  # of several replicas
            # By way of a tensor: one that replicas sum when it is read is no array.
            return np.array(tf.convert_to_tensor(value).numpy())
        # Not `read_value`: that makes it one of the graph's variables.
        read = tf.raw_ops.ReadVariableOp(resource=value.handle, dtype=value.dtype)
        return np.array(read.numpy())


def device_bytes():
    """Bytes of memory of the first GPU: TensorFlow does not say."""
    return None
