import numpy as np
import pytest
import scipy.special
from harness import QUICK_CHECK, check_keras_layer, check_keras_layer_of_several, to_numpy

from keras_bld.base.backend import compile_function
from keras_bld.diffusion.transformer import CrossAttention, SelfAttention, TransformerBlock

WIDTH, HEADS, TEXT_WIDTH = 8, 2, 6


def arrays(*shapes):
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape).astype("float32") for shape in shapes]


def with_random_weights(layer):
    """Weights of which none is at its initial 0 or 1."""
    generator = np.random.default_rng(1)
    layer.set_weights([0.5 * generator.standard_normal(w.shape) for w in layer.get_weights()])
    return layer


def dense(layer, inputs):
    return inputs @ to_numpy(layer.kernel) + to_numpy(layer.bias)


def norm(layer, inputs):
    centred = inputs - inputs.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return scaled * to_numpy(layer.gamma) + to_numpy(layer.beta)


def attention(query, key, value, visible=None):
    """Head by head and sample by sample; `visible` (batch, keys) says which keys count."""
    result = np.zeros_like(query)
    size = WIDTH // HEADS
    for sample in range(len(query)):
        kept = slice(None) if visible is None else visible[sample]
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            keys, values = key[sample][kept][:, part], value[sample][kept][:, part]
            scores = query[sample][:, part] @ keys.T / np.sqrt(size)
            result[sample][:, part] = scipy.special.softmax(scores, axis=-1) @ values
    return result


def self_attention(layer, tokens, visible=None):
    query, key, value = np.split(dense(layer.query_key_value, tokens), 3, axis=-1)
    return dense(layer.projection, attention(query, key, value, visible))


def cross_attention(layer, tokens, text, visible=None):
    key, value = np.split(dense(layer.key_value, text), 2, axis=-1)
    return dense(layer.projection, attention(dense(layer.query, tokens), key, value, visible))


def null_of(layer, batch):
    return np.repeat(to_numpy(layer.null_embedding), batch, axis=0)


def run(layer, *inputs, function=None):
    """The layer (or a function that calls it), compiled: JAX without compilation is slow."""
    return to_numpy(compile_function(function or layer, lambda: layer.variables)(*inputs))


def assert_close(received, expected):
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_self_attention_equals_numpy():
    (tokens,) = arrays((2, 5, WIDTH))
    layer = with_random_weights(SelfAttention(WIDTH, HEADS))
    assert_close(run(layer, tokens), self_attention(layer, tokens))
    visible = np.array([[True] * 5, [True, True, True, True, False]])
    assert_close(
        run(layer, tokens, visible[:, None, None, :]), self_attention(layer, tokens, visible)
    )


def test_a_masked_key_is_a_token_left_out():
    (tokens,) = arrays((2, 5, WIDTH))
    layer = with_random_weights(SelfAttention(WIDTH, HEADS))
    mask = (np.arange(5) < 4)[None, None, None, :].repeat(2, axis=0)
    masked = run(layer, tokens, mask)[:, :4]
    np.testing.assert_allclose(masked, run(layer, tokens[:, :4]), rtol=1e-5, atol=1e-6)


def test_cross_attention_equals_numpy():
    tokens, text = arrays((3, 5, WIDTH), (3, 4, TEXT_WIDTH))
    layer = with_random_weights(CrossAttention(WIDTH, HEADS, TEXT_WIDTH))
    assert_close(run(layer, tokens, text), cross_attention(layer, tokens, text))
    # Without text: the learned null embedding alone.
    null = null_of(layer, 3)
    assert_close(run(layer, tokens), cross_attention(layer, tokens, null))
    # Sample by sample: the null embedding is key 0, seen exactly where the text is not.
    visible = np.array([[0, 1, 1, 1, 1], [1, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)
    expected = cross_attention(layer, tokens, np.concatenate([null, text], axis=1), visible)
    assert_close(run(layer, tokens, text, visible[:, None, None, :]), expected)


@pytest.mark.parametrize("text_width", [None, TEXT_WIDTH])
def test_block_equals_numpy(text_width):
    tokens, text = arrays((2, 5, WIDTH), (2, 3, TEXT_WIDTH))
    block = with_random_weights(TransformerBlock(WIDTH, HEADS, text_width))
    expected = tokens + to_numpy(block.attention_scale) * self_attention(
        block.attention, norm(block.attention_norm, tokens)
    )
    if text_width is not None:
        expected = expected + to_numpy(block.cross_scale) * cross_attention(
            block.cross_attention, norm(block.cross_norm, expected), text
        )
    hidden = dense(block.mlp_hidden, norm(block.mlp_norm, expected))
    hidden = hidden * 0.5 * (1 + scipy.special.erf(hidden / np.sqrt(2)))  # exact GELU
    expected = expected + to_numpy(block.mlp_scale) * dense(block.mlp_output, hidden)
    inputs = (tokens,) if text_width is None else (tokens, text)
    received = run(block, *inputs, function=lambda tokens, text=None: block(tokens, text=text))
    assert_close(received, expected)


def test_layer_scales_start_at_one():
    block = TransformerBlock(WIDTH, HEADS, TEXT_WIDTH)
    for scale in (block.attention_scale, block.cross_scale, block.mlp_scale):
        assert to_numpy(scale).tolist() == [1.0] * WIDTH


VISIBLE = np.array([[[[False, True, True, True]]], [[[True, False, False, False]]]])


@pytest.mark.once  # on all backends as parts of the block
def test_keras_own_checks_of_attention():
    tokens, text = arrays((2, 5, WIDTH), (2, 3, TEXT_WIDTH))
    check_keras_layer(SelfAttention(WIDTH, HEADS), tokens)
    cross_attention = CrossAttention(WIDTH, HEADS, TEXT_WIDTH)
    check_keras_layer_of_several(cross_attention, tokens, text, VISIBLE)


def test_keras_own_checks_of_a_block():
    """On torch, where weights with the same path were one, also that each has its own."""
    tokens, text = arrays((2, 5, WIDTH), (2, 3, TEXT_WIDTH))
    block, mask = TransformerBlock(WIDTH, HEADS, TEXT_WIDTH), np.ones((2, 1, 1, 5), bool)
    check_keras_layer_of_several(block, tokens, mask, text, VISIBLE, **QUICK_CHECK)


def test_dropout_is_of_training_alone_and_keeps_the_mean():
    (tokens,) = arrays((64, 3, WIDTH))
    plain = with_random_weights(TransformerBlock(WIDTH, HEADS))
    block = TransformerBlock(WIDTH, HEADS, dropout=0.25)
    block.set_weights(plain.get_weights())
    expected = to_numpy(plain(tokens))
    np.testing.assert_array_equal(to_numpy(block(tokens)), expected)
    np.testing.assert_array_equal(to_numpy(block(tokens, training=False)), expected)
    # The last branch is then known: a channel is left out, or counts 4 / 3.
    block.attention_scale.assign(np.zeros(WIDTH))
    whole = to_numpy(block(tokens)) - tokens
    left = to_numpy(block(tokens, training=True)) - tokens
    is_out = np.abs(left) < 1e-6
    np.testing.assert_allclose(left[~is_out], whole[~is_out] / 0.75, rtol=1e-3, atol=1e-5)
    assert 0.2 < is_out.mean() < 0.3
    other = to_numpy(block(tokens, training=True)) - tokens
    assert ((np.abs(other) < 1e-6) != is_out).any()


@pytest.mark.once
def test_without_dropout_a_block_draws_nothing():
    assert not TransformerBlock(WIDTH, HEADS).non_trainable_variables
