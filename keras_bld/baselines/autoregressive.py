"""Autoregressive transformer over the cells of a code."""

import keras
import numpy as np
from keras import ops

from keras_bld.baselines.prior import BaselinePrior, draw_bits
from keras_bld.diffusion.transformer import TransformerBlock
from keras_bld.diffusion.weights import dense, layer_normalization


@keras.saving.register_keras_serializable("keras_bld")
class CausalTransformer(keras.layers.Layer):
    """Logits of every cell's bits, given the cells before it in rows from the top left.

    Args:
        code_shape: (height, width, bits).
        depth, width, num_heads: of the transformer.
        num_classes: number of classes; None for an unconditional model.

    Call arguments: as of `BernoulliDenoiser`; the time steps are not used.
    """

    text_width = None

    def __init__(self, code_shape, depth, width, num_heads, num_classes=None, **kwargs):
        super().__init__(**kwargs)
        self.code_shape = tuple(int(size) for size in code_shape)
        self.depth, self.width, self.num_heads = depth, width, num_heads
        self.num_classes = num_classes
        height, columns, channels = self.code_shape
        self.num_training_steps = height * columns
        policy = self.dtype_policy
        with keras.name_scope(self.name, caller=self):
            self.token_embedding = dense(channels, width, policy, "token_embedding")
            normal = keras.initializers.RandomNormal(stddev=0.02)
            self.start = self.add_weight(shape=(1, 1, width), initializer=normal, name="start")
            self.positions = self.add_weight(
                shape=(1, self.num_training_steps, width), initializer=normal, name="positions"
            )
            self.condition_embedding = None
            if num_classes is not None:
                self.condition_embedding = keras.layers.Embedding(
                    num_classes,
                    width,
                    embeddings_initializer=normal,
                    dtype=policy,
                    name="condition",
                )
                self.condition_embedding.build((None,))
            self.blocks = [
                TransformerBlock(width, num_heads, dtype=policy, name=f"block_{index}")
                for index in range(depth)
            ]
            self.output_norm = layer_normalization(width, policy, "output_norm")
            self.head = dense(width, channels, policy, "head")
        self.built = True

    @property
    def condition_kind(self):
        """None or "class"."""
        return None if self.num_classes is None else "class"

    def call(self, codes, time_steps=None, condition=None, condition_present=None):
        height, columns, channels = self.code_shape
        length = self.num_training_steps
        signs = ops.cast(2.0 * ops.cast(codes, "float32") - 1.0, self.compute_dtype)
        cells = self.token_embedding(ops.reshape(signs, (-1, length, channels)))
        # Token i holds cell i - 1; the first token holds the condition.
        first = ops.broadcast_to(self.start, (ops.shape(cells)[0], 1, self.width))
        first = ops.cast(first, cells.dtype)
        if condition is not None:
            embedded = self.condition_embedding(condition)[:, None]
            if condition_present is not None:
                present = ops.cast(condition_present, embedded.dtype)
                embedded = embedded * present[:, None, None]
            first = first + embedded
        tokens = ops.concatenate([first, cells[:, :-1]], axis=1)
        tokens = tokens + ops.cast(self.positions, tokens.dtype)
        mask = ops.convert_to_tensor(np.tril(np.ones((1, 1, length, length), bool)))
        for block in self.blocks:
            tokens = block(tokens, attention_mask=mask)
        logits = self.head(self.output_norm(tokens))
        return ops.reshape(ops.cast(logits, "float32"), (-1, height, columns, channels))

    def get_config(self):
        return {
            **super().get_config(),
            "code_shape": list(self.code_shape),
            "depth": self.depth,
            "width": self.width,
            "num_heads": self.num_heads,
            "num_classes": self.num_classes,
        }


@keras.saving.register_keras_serializable("keras_bld")
class AutoregressivePrior(BaselinePrior):
    """One cell after another, each cell's bits independent given the cells before it.

    Its `bits_per_dimension` is the exact negative log-likelihood. Sampling takes as many steps
    as there are cells.

    Source: Esser et al., "Taming Transformers" (2021), the paper's baseline in Table 5; bits in
    place of a codebook's indices.

    Args:
        denoiser: a `CausalTransformer`.
        autoencoder, label_dropout, sampling, class_names: as in `CodePrior`.
    """

    can_skip_steps = False  # one step for each cell

    def corrupt(self, codes, time_steps):
        """Nothing: the mask of the attention hides what is to be predicted."""
        return {"noisy_codes": codes, "weights": ops.ones_like(codes)}

    def make_step(self, sampling, logits_of, draw, known=None):
        """Draw the bits of one cell after the other."""
        height, width, _ = self.code_shape
        cells = ops.reshape(ops.arange(height * width, dtype="int32"), (1, height, width, 1))

        def step(index, codes):
            logits = logits_of(codes, ops.zeros((codes.shape[0],), "int32"))
            bits = draw_bits(logits, sampling.temperature, draw(index))
            return ops.where(ops.equal(cells, index), bits, codes)

        return step
