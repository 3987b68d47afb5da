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


# Weights of an attention that may lie in memory at once, 64 MiB of bfloat16.
_MOST_WEIGHTS = 2**25


def attention(query, key, value, mask=None):
    """See `keras_bld.base.backend.attention`.

    In bfloat16 on a processor with plain products: forward and back they took 2.3 ms where torch's
    fused attention took 15.0 (18 tokens, batch 64, 4 heads of 64; torch 2.13, AMD EPYC, one
    thread), 8 and 27 ms for 65 tokens (batch 32), 16 and 38 ms for 1,025 (batch 1). In float32 the
    fused one is as fast or faster.
    """
    import torch

    num_weights = query.shape[0] * query.shape[2] * query.shape[1] * key.shape[1]
    if query.dtype != torch.bfloat16 or query.device.type != "cpu" or num_weights > _MOST_WEIGHTS:
        return ops.dot_product_attention(query, key, value, mask=mask)
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3))
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.matmul(torch.softmax(scores, -1), value).transpose(1, 2)


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
