"""The denoiser's transformer block."""

import keras
from keras import ops

from keras_bld.base import replicas
from keras_bld.base.backend import attention
from keras_bld.diffusion.weights import dense, layer_normalization


@keras.saving.register_keras_serializable("keras_bld")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention with one fused projection for queries, keys and values."""

    def __init__(self, width, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.width, self.num_heads = width, num_heads
        with keras.name_scope(self.name, caller=self):
            self.query_key_value = dense(width, 3 * width, self.dtype_policy, "query_key_value")
            self.projection = dense(width, width, self.dtype_policy, "projection")
        self.built = True

    def call(self, tokens, attention_mask=None):
        length = tokens.shape[1]
        merged = self.query_key_value(tokens)
        merged = ops.reshape(merged, (-1, length, 3, self.num_heads, self.width // self.num_heads))
        query, key, value = merged[:, :, 0], merged[:, :, 1], merged[:, :, 2]
        attended = attention(query, key, value, attention_mask)
        return self.projection(ops.reshape(attended, (-1, length, self.width)))


@keras.saving.register_keras_serializable("keras_bld")
class CrossAttention(keras.layers.Layer):
    """Queries from the tokens, keys and values from a text sequence.

    A learned null embedding stands first in the text sequence. It is what a sample without text
    attends to, alone; a sample with text does not see it.
    """

    def __init__(self, width, num_heads, text_width, **kwargs):
        super().__init__(**kwargs)
        self.width, self.num_heads = width, num_heads
        with keras.name_scope(self.name, caller=self):
            self.query = dense(width, width, self.dtype_policy, "query")
            self.key_value = dense(text_width, 2 * width, self.dtype_policy, "key_value")
            self.projection = dense(width, width, self.dtype_policy, "projection")
            self.null_embedding = self.add_weight(
                shape=(1, 1, text_width),
                initializer=keras.initializers.RandomNormal(stddev=0.01),
                name="null_embedding",
            )
        self.built = True

    def call(self, tokens, text=None, text_visible=None):
        batch, length = ops.shape(tokens)[0], tokens.shape[1]
        head_width = self.width // self.num_heads
        null = ops.cast(self.null_embedding, self.compute_dtype)
        null = ops.broadcast_to(null, (batch, 1, null.shape[-1]))
        if text is None:
            text, text_visible = null, None
        elif text_visible is not None:
            text = ops.concatenate([null, ops.cast(text, self.compute_dtype)], axis=1)
        keys_values = self.key_value(text)
        num_keys = text.shape[1]
        merged = ops.reshape(keys_values, (-1, num_keys, 2, self.num_heads, head_width))
        query = ops.reshape(self.query(tokens), (-1, length, self.num_heads, head_width))
        attended = attention(query, merged[:, :, 0], merged[:, :, 1], text_visible)
        return self.projection(ops.reshape(attended, (-1, length, self.width)))


@keras.saving.register_keras_serializable("keras_bld")
class TransformerBlock(keras.layers.Layer):
    """Pre-LN block: attention [, cross-attention] and MLP, each with a LayerScale.

    Args:
        width: channels of a token.
        num_heads: attention heads; must divide `width`.
        text_width: channels of a text token; adds cross-attention where given.
        dropout: share of the channels of each branch that training leaves out, in [0, 0.9].

    Call arguments:
        tokens: (batch, length, width).
        attention_mask: optional booleans that broadcast to (batch, heads, length, length);
            True = attend.
        text: optional (batch, text length, text_width).
        text_visible: optional booleans (batch, 1, 1, 1 + text length), the null embedding first.
        training: whether channels are left out.
    """

    def __init__(self, width, num_heads, text_width=None, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.dropout = dropout
        if dropout:
            self.seed_generator = keras.random.SeedGenerator()
        policy = self.dtype_policy
        with keras.name_scope(self.name, caller=self):
            self.attention_norm = layer_normalization(width, policy, "attention_norm")
            self.attention = SelfAttention(width, num_heads, dtype=policy, name="attention")
            self.attention_scale = self._scale(width, "attention_scale")
            self.cross_attention = None
            if text_width is not None:
                self.cross_norm = layer_normalization(width, policy, "cross_norm")
                self.cross_attention = CrossAttention(
                    width, num_heads, text_width, dtype=policy, name="cross_attention"
                )
                self.cross_scale = self._scale(width, "cross_scale")
            self.mlp_norm = layer_normalization(width, policy, "mlp_norm")
            self.mlp_hidden = dense(width, 4 * width, policy, "mlp_hidden")
            self.mlp_output = dense(4 * width, width, policy, "mlp_output")
            self.mlp_scale = self._scale(width, "mlp_scale")
        self.built = True

    def _scale(self, width, name):
        return self.add_weight(shape=(width,), initializer="ones", name=name)

    def call(self, tokens, attention_mask=None, text=None, text_visible=None, training=False):
        attended = self.attention(self.attention_norm(tokens), attention_mask)
        tokens = tokens + self._scaled(attended, self.attention_scale, training)
        if self.cross_attention is not None:
            attended = self.cross_attention(self.cross_norm(tokens), text, text_visible)
            tokens = tokens + self._scaled(attended, self.cross_scale, training)
        hidden = ops.gelu(self.mlp_hidden(self.mlp_norm(tokens)), approximate=False)
        return tokens + self._scaled(self.mlp_output(hidden), self.mlp_scale, training)

    def _scaled(self, branch, scale, training):
        """What a branch adds to the tokens, the same in the mean with and without dropout."""
        branch = ops.cast(scale, branch.dtype) * branch
        if not (self.dropout and training):
            return branch
        draws = replicas.uniform(ops.shape(branch), self.seed_generator)
        return ops.where(draws < self.dropout, 0.0, branch / (1.0 - self.dropout))
