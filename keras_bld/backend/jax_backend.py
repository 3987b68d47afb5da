"""JAX: `jax.jit` with the variables' values as arguments."""

import keras
from keras import ops


class CompiledFunction:
    """A jitted function; see `keras_bld.backend.compile_function`."""

    def __init__(self, function, variables):
        import jax

        self.num_traces = 0
        self._variables = variables

        def run(values, arguments):
            self.num_traces += 1
            state_mapping = list(zip(variables(), values, strict=True))
            with keras.StatelessScope(state_mapping=state_mapping):
                return function(*arguments)

        self._run = jax.jit(run)

    def __call__(self, *arguments):
        values = [variable.value for variable in self._variables()]
        return self._run(values, [ops.convert_to_tensor(argument) for argument in arguments])
