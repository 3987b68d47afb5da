"""JAX: `jax.jit` with the variables' values as arguments."""

import threading

import keras
import numpy as np
from keras import ops


class CompiledFunction:
    """A jitted function; see `keras_bld.base.backend.compile_function`."""

    def __init__(self, function, variables):
        import jax

        self.num_traces = 0
        self._variables = variables

        def run(values, arguments, named):
            self.num_traces += 1
            state_mapping = list(zip(variables(), values, strict=True))
            with keras.StatelessScope(state_mapping=state_mapping):
                return function(*arguments, **named)

        self._run = jax.jit(run)

    def __call__(self, *arguments, **named):
        values = [variable.value for variable in self._variables()]
        named = {name: _as_tensor(argument) for name, argument in named.items()}
        return self._run(values, [_as_tensor(argument) for argument in arguments], named)


def _as_tensor(argument):
    # By way of NumPy: JAX gives a Python number a weak type, which retraces after a NumPy one.
    return ops.convert_to_tensor(argument if ops.is_tensor(argument) else np.asarray(argument))


def attention(query, key, value, mask=None):
    """See `keras_bld.base.backend.attention`.

    The fused attention of a GPU, which bfloat16 takes, has no mask for all queries at once ("Bias
    must have same seq length as QKV", seen on an H100): each query gets its own.
    """
    if mask is not None:
        mask = ops.broadcast_to(mask, (*mask.shape[:2], query.shape[1], mask.shape[3]))
    return ops.dot_product_attention(query, key, value, mask=mask)


def has_accelerator():
    """Whether there is a device beside the processor."""
    import jax

    return jax.default_backend() != "cpu"


def process():
    """See `keras_bld.base.backend.process`."""
    import jax

    return jax.process_index(), jax.process_count()


def join_processes():
    """See `keras_bld.base.backend.join_processes`."""
    import jax

    if not jax.distributed.is_initialized():
        # It catches SIGTERM, for `reached_preemption_sync_point`, which nobody here asks: before
        # and after `fit` a SIGTERM did nothing.
        jax.config.update("jax_enable_preemption_service", False)
        keras.distribution.initialize()


def leave_processes():
    """See `keras_bld.base.backend.leave_processes`."""
    import jax

    jax.distributed.shutdown()


def has_joined():
    """See `keras_bld.base.backend.has_joined`."""
    import jax

    return jax.distributed.is_initialized()


def leave_processes_within(seconds):
    """See `keras_bld.base.backend.leave_processes_within`."""
    # JAX itself waits 5 minutes, then aborts; Keras's `initialize` hands on no other time.
    leaving = threading.Thread(target=leave_processes, daemon=True)
    leaving.start()
    leaving.join(seconds)
    return not leaving.is_alive()


def largest_of_processes(number):
    """See `keras_bld.base.backend.largest_of_processes`."""
    from jax.experimental import multihost_utils

    return int(multihost_utils.process_allgather(np.array([number], "int32")).max())


def whole_array(variable):
    """See `keras_bld.base.backend.whole_array`."""
    value = variable.value
    if not (value.is_fully_addressable or value.is_fully_replicated):
        from jax.experimental import multihost_utils

        value = multihost_utils.process_allgather(value, tiled=True)
    return np.array(value)


def device_bytes():
    """Bytes of memory of the first device; None where its platform does not say."""
    import jax

    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
