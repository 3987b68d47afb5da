"""The denoiser as an OpenVINO graph."""

import numpy as np
from keras import ops

from keras_bld.serving.key_bias import key_bias
from keras_bld.serving.openvino_graph import (
    attention,
    constant,
    gelu,
    linear,
    operations,
    parameter,
    reshape,
    standardize,
    transpose,
    values,
)


def denoiser_graph(denoiser):
    """A `BernoulliDenoiser` with its present weights, for any batch size and text length.

    What does not depend on the code stays outside (see `DenoiserInputs`). Folded into the
    matrices: 2z - 1, the scales and offsets of the normalisations, the LayerScales, and the
    attention's 1 / sqrt(width of a head).

    Returns:
        `openvino.Model`. Inputs: `codes` {0, 1} (batch, cells, channels); `time` (1, 1, width), or
        one for each sample (batch, 1, width); with a class or a token also `condition`
        (batch, 1, width) and `key_bias` (batch, 1, 1, tokens + 2); with cross-attention also `text`
        (batch, length, text_width) and `key_bias` (batch, 1, 1, 1 + length), the null embedding
        first. Output: logits (batch, cells, channels).
    """
    import openvino

    o = operations()
    height, columns, channels = denoiser.code_shape
    num_cells, num_tokens, width = height * columns, denoiser.num_tokens, denoiser.width
    kind = denoiser.condition_kind
    codes = parameter((-1, num_cells, channels), "codes")
    time = parameter((-1, 1, width), "time")
    inputs = [codes, time]
    embedding = values(denoiser.token_embedding.kernel)
    positions = values(denoiser.positions)[0] - embedding.sum(axis=0)
    tokens = linear(_swapped(codes, denoiser, to_tokens=True), 2.0 * embedding, positions)
    extra = [_for_each_sample(time, codes, width)]
    key_bias = text = None
    if kind is not None:
        num_keys = -1 if kind == "cross_attention" else num_tokens + 2
        key_bias = parameter((-1, 1, 1, num_keys), "key_bias")
        inputs.append(key_bias)
    if kind == "cross_attention":
        text = parameter((-1, -1, denoiser.text_width), "text")
        inputs.append(text)
    elif kind is not None:
        condition = parameter((-1, 1, width), "condition")
        inputs.append(condition)
        extra.append(condition)
    tokens = o.concat([tokens, *extra], 1)
    for block in denoiser.blocks:
        tokens = _block(block, tokens, text, key_bias)
    tokens = o.slice(tokens, *[o.constant([number]) for number in (0, num_tokens, 1, 1)])
    logits = linear(*_normalized(tokens, denoiser.output_norm, *_kernel_and_bias(denoiser.head)))
    logits = reshape(_swapped(logits, denoiser, to_tokens=False), 0, num_cells, channels)
    return openvino.Model([logits], inputs, "denoiser")


def _swapped(x, denoiser, to_tokens):
    """Cells in the order of the tokens that hold them, or back: (batch, tokens, bits)."""
    patch, (rows, columns, bits) = denoiser.patch_size, denoiser.token_grid
    if patch == 1:
        return x
    inner = (patch, columns) if to_tokens else (columns, patch)
    x = reshape(x, 0, rows, *inner, patch, bits // patch**2)
    return reshape(transpose(x, 0, 1, 3, 2, 4, 5), 0, rows * columns, bits)


def _block(block, tokens, text, key_bias):
    o = operations()
    self_bias = None if block.cross_attention is not None else key_bias
    own, width = block.attention, block.attention.width
    kernel, bias = _kernel_and_bias(own.query_key_value)
    scale = np.ones(3 * width, "float32")
    scale[:width] = (width // own.num_heads) ** -0.5
    merged = linear(*_normalized(tokens, block.attention_norm, kernel * scale, bias * scale))
    parts = o.split(merged, o.constant(2), 3).outputs()
    attended = attention(*parts, own.num_heads, width, self_bias)
    tokens = o.add(tokens, _scaled(attended, own.projection, block.attention_scale))
    if block.cross_attention is not None:
        cross = block.cross_attention
        kernel, bias = _kernel_and_bias(cross.query)
        scale = (cross.width // cross.num_heads) ** -0.5
        query = linear(*_normalized(tokens, block.cross_norm, kernel * scale, bias * scale))
        kernel, bias = _kernel_and_bias(cross.key_value)
        null = constant(values(cross.null_embedding) @ kernel + bias)
        merged = o.concat([_for_each_sample(null, text, 2 * width), linear(text, kernel, bias)], 1)
        key, value = o.split(merged, o.constant(2), 2).outputs()
        attended = attention(query, key, value, cross.num_heads, width, key_bias)
        tokens = o.add(tokens, _scaled(attended, cross.projection, block.cross_scale))
    hidden = linear(*_normalized(tokens, block.mlp_norm, *_kernel_and_bias(block.mlp_hidden)))
    return o.add(tokens, _scaled(gelu(hidden), block.mlp_output, block.mlp_scale))


def _for_each_sample(token, like, width):
    """One token (1, 1, width), or one for each sample, for each sample that `like` has."""
    o = operations()
    batch = o.gather(o.shape_of(like), o.constant([0]), o.constant(0))
    return o.broadcast(token, o.concat([batch, o.constant(np.array([1, width]))], 0))


def _kernel_and_bias(layer):
    return values(layer.kernel), values(layer.bias)


def _normalized(x, norm, kernel, bias):
    """(x̂ gamma + beta) @ kernel + bias as arguments of `linear`, gamma and beta folded in."""
    gamma, beta = values(norm.gamma), values(norm.beta)
    return standardize(x, norm.epsilon), gamma[:, None] * kernel, bias + beta @ kernel


def _scaled(x, layer, layer_scale):
    kernel, bias = _kernel_and_bias(layer)
    scale = values(layer_scale)
    return linear(x, kernel * scale, bias * scale)


class DenoiserInputs:
    """Computes, outside the graph and in the layers' own precision, what is the same for a chain.

    Args:
        denoiser: a `BernoulliDenoiser`; its time embedding is read now.

    Attributes:
        times: the time tokens of t = 1 ... T, (T, width).
    """

    def __init__(self, denoiser):
        self._denoiser = denoiser
        self._kind = denoiser.condition_kind
        steps = np.arange(1, denoiser.num_training_steps + 1, dtype="int32")
        self.times = values(denoiser.time_embedding(ops.convert_to_tensor(steps)))

    def time(self, step):
        """The time token of t = `step`: (1, 1, width)."""
        return self.times[step - 1][None, None]

    def condition(self, condition, batch, guided):
        """Inputs for a batch, or for a doubled one whose second half is without condition.

        Args:
            condition: labels (batch,), text embeddings, or None for none at all.
            batch: number of samples.
            guided: double the batch.

        Returns:
            Input's name -> float32 array.
        """
        if self._kind is None:
            return {}
        crosses = self._kind == "cross_attention"
        name = "text" if crosses else "condition"
        token = self._tokens(condition, batch)
        present = np.full((batch, 1, 1, 1), condition is not None)
        if guided:
            token = np.concatenate([token, token])
            present = np.concatenate([present, np.zeros_like(present)])
        length = token.shape[1] if crosses else None
        bias = key_bias(present, self._denoiser.num_tokens, length)
        return {name: token, "key_bias": bias}

    def _tokens(self, condition, batch):
        """(batch, length, width of a token); zeros, which nobody sees, for no condition."""
        if self._kind == "cross_attention":
            if condition is None:
                return np.zeros((batch, 1, self._denoiser.text_width), "float32")
            return np.asarray(condition, "float32")
        if condition is None:
            return np.zeros((batch, 1, self._denoiser.width), "float32")
        tensor = ops.convert_to_tensor(condition)
        return values(self._denoiser.condition_embedding(tensor))[:, None]
