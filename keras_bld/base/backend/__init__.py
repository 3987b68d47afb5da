"""Backends: what differs between TensorFlow, JAX and torch, in one file for each.

Everything else in the library is written once with `keras.ops`.
"""

import numpy as np
from keras import ops
from keras.config import backend as backend_name


def compile_function(function, variables):
    """Compile a pure `keras.ops` function that reads model variables, for inference.

    Args:
        function: callable of tensors that returns a tensor or a nest of tensors. It must not
            assign variables. Python numbers and NumPy arrays given as arguments, by place or by
            name, become tensors, so that a changed value never retraces; a changed shape, dtype
            or set of names does.
        variables: callable without arguments that returns the variables `function` reads. Their
            current values are used at every call (nothing is baked into the compiled program).

    Returns:
        A callable with the attribute `num_traces`, the number of times `function` was traced
        (on torch, which runs eagerly: 0).
    """
    return _chosen_backend().CompiledFunction(function, variables)


def fuse(function):
    """Compile a pure function of tensors into few loops, inside a larger graph as well.

    On TensorFlow with XLA: there each operation of a graph makes a pass over memory of its own.
    JAX's compiled steps fuse anyway, and torch runs eagerly.

    Args:
        function: callable of tensors. No variables, no random numbers, no side effects.
    """
    if backend_name() != "tensorflow":
        return function
    from keras_bld.base.backend.tensorflow_backend import fuse_with_xla

    return fuse_with_xla(function)


_LARGE = 2_000_000  # weights from which on a transformer's step gains more than XLA costs


def prefers_xla(network):
    """Whether a transformer trains faster with `jit_compile=True`.

    On TensorFlow, where Keras's "auto" leaves XLA out on the CPU: a step of the paper's denoiser
    (76 M weights, batch 8) took 3.2 s with XLA and 3.6 s without (6.3 and 7.5 s on a slower
    processor), one of 4.9 M (64 tokens, batch 64) 0.85 and 1.00 s, one of 2.8 M (16 tokens, batch
    128) 0.31 and 0.42 s, one of 0.84 M (64 tokens, batch 64, beside other jobs) 1.5 s and 1.3 s.
    In bfloat16 XLA does not reach the processor's matrix units: 1.14 s with it and 0.93 s without
    (2.7 M weights, 256 tokens, batch 32, a Xeon with AMX; in float32 0.96 and 1.10 s). JAX always
    compiles; on torch compiling measured slower. Convolutions are slower with XLA on the CPU, so
    this is not for autoencoders.

    Args:
        network: layer or model.
    """
    is_large = network.count_params() >= _LARGE
    return backend_name() == "tensorflow" and is_large and network.compute_dtype == "float32"


def attention(query, key, value, mask=None):
    """Scaled dot-product attention, the fastest of the backend's own.

    Args:
        query: (batch, length, heads, width of a head).
        key: (batch, number of keys, heads, width of a head).
        value: as `key`.
        mask: optional booleans that broadcast to (batch, heads, length, number of keys); True:
            attend.

    Returns:
        As `query`.
    """
    if backend_name() == "tensorflow":
        return ops.dot_product_attention(query, key, value, mask=mask)
    return _chosen_backend().attention(query, key, value, mask)


def runs_on_cpu():
    """Whether the backend computes on the processor: it has no accelerator."""
    return not _chosen_backend().has_accelerator()


def device_bytes():
    """Bytes of memory of the accelerator in use; None where the backend does not say."""
    return _chosen_backend().device_bytes()


def generator_states():
    """States of the backend's own random generators, as bytes; only torch has any."""
    return _chosen_backend().generator_states() if backend_name() == "torch" else []


def restore_generator_states(states):
    """Give those generators such states."""
    if backend_name() == "torch":
        _chosen_backend().restore_generator_states(states)


def replica():
    """Which replica of a training step this is, and of how many: (0, 1) but in a TensorFlow
    strategy's step, see `keras_bld.base.replicas`.
    """
    return _chosen_backend().replica() if backend_name() == "tensorflow" else (0, 1)


def strategy_size():
    """How many replicas the TensorFlow strategy has whose scope this is; 1 without one."""
    return _chosen_backend().strategy_size() if backend_name() == "tensorflow" else 1


def sum_over_replicas(x):
    """The sum of a tensor, or of each in a list, over all replicas of a training step."""
    return _chosen_backend().sum_over_replicas(x) if replica()[1] > 1 else x


def several_workers():
    """Whether this is a scope or a step of TensorFlow's MultiWorkerMirroredStrategy."""
    return _chosen_backend().several_workers()


def process():
    """Which of the processes that train together this is, and how many they are."""
    return (0, 1) if backend_name() == "torch" else _chosen_backend().process()


def join_processes():
    """Join the processes of JAX that the environment names, unless this one has.

    SIGTERM stays with the handlers of Python.
    """
    _chosen_backend().join_processes()


def leave_processes():
    """End what connects this process with the others, where the backend has to be told."""
    if backend_name() == "jax":
        _chosen_backend().leave_processes()


def has_joined():
    """Whether this process is one of several that wait for each other when they end."""
    return backend_name() == "jax" and _chosen_backend().has_joined()


def leave_processes_within(seconds):
    """Where `has_joined`: `leave_processes`, or False where the others have not come by then."""
    return _chosen_backend().leave_processes_within(seconds)


def largest_of_processes(number):
    """The largest of the integers with which all these processes call this."""
    return _chosen_backend().largest_of_processes(number)


def whole_array(variable):
    """The value of a variable as a NumPy array, a copy, wherever its parts lie.

    Where a part lies with another process, all processes have to call this.
    """
    if backend_name() == "torch":
        return np.array(ops.convert_to_numpy(variable.value))
    return _chosen_backend().whole_array(variable)


def own_buffers(variables):
    """Give each variable a buffer of its own.

    An optimizer with `use_ema=True` ends `fit` by assigning its averages to the weights. On JAX
    the two then share one buffer, which the next `fit` or `evaluate` donates: the other is left
    deleted (seen with Keras 3.15). A copy keeps them apart.
    """
    if backend_name() == "jax":
        for variable in variables:
            variable.assign(ops.copy(variable))


def keep_reads_before_updates(optimizer):
    """Let a training step of `optimizer` update no variable before all reads of its old value.

    On TensorFlow Keras sums the gradients over the replicas, also over one, by one node of all
    (IdentityN). Through it every read leads to every update, so grappler's dependency optimizer
    drops the edges that say so once more, and then it drops the node, too: where the gradient of a
    variable does not depend on a read of it (a critic's weights with their gradient stopped), that
    read now and then got the new value (seen with TensorFlow 2.21). Of one replica nothing has to
    be summed; the graph of several keeps the order.
    """
    if backend_name() == "tensorflow":
        _chosen_backend().keep_reads_before_updates(optimizer)


def _chosen_backend():
    """The file of the backend in use; the others are never imported."""
    name = backend_name()
    if name == "jax":
        from keras_bld.base.backend import jax_backend as chosen
    elif name == "tensorflow":
        from keras_bld.base.backend import tensorflow_backend as chosen
    else:
        from keras_bld.base.backend import torch_backend as chosen
    return chosen
