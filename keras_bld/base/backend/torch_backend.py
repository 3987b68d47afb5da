"""torch: eager execution without gradients (compiling measured slower for these models)."""

from keras import ops


class CompiledFunction:
    """An eager function; see `keras_bld.base.backend.compile_function`."""

    num_traces = 0

    def __init__(self, function, variables):
        self._function = function

    def __call__(self, *arguments, **named):
        import torch

        arguments = [ops.convert_to_tensor(argument) for argument in arguments]
        named = {name: ops.convert_to_tensor(argument) for name, argument in named.items()}
        with torch.no_grad():
            return self._function(*arguments, **named)


def has_accelerator():
    """Whether there is a device beside the processor."""
    import torch

    return torch.cuda.is_available()


def generator_states():
    """States of torch's generator of the processor, and of the GPU's where there is one."""
    import torch

    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states.append(torch.cuda.get_rng_state())
    return [state.numpy().tobytes() for state in states]


def restore_generator_states(states):
    """Assign them; that of a GPU only where there is one."""
    import torch

    assign = [torch.set_rng_state]
    if torch.cuda.is_available():
        assign.append(torch.cuda.set_rng_state)
    for function, state in zip(assign, states, strict=False):
        function(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def device_bytes():
    """Bytes of memory of the GPU in use."""
    import torch

    return torch.cuda.mem_get_info()[1]
