"""The transformer that predicts flips."""

import math

import keras
from keras import ops

from keras_bld.base import checks
from keras_bld.base.description import Described, counted
from keras_bld.base.sizes import sizes_for
from keras_bld.diffusion.conditioning import condition_facts
from keras_bld.diffusion.embeddings import TimeEmbedding, sine_position_table
from keras_bld.diffusion.transformer import TransformerBlock
from keras_bld.diffusion.weights import dense, layer_normalization

TEXT_CONDITIONINGS = ("token", "cross_attention")


@keras.saving.register_keras_serializable("keras_bld")
class BernoulliDenoiser(Described, keras.Model):
    """A plain transformer T(z^t, t) over the cells of a code (paper, Sec. 5 and appendix B.1).

    Tokens are (2z - 1) @ E plus learned positions that start as a 2D sine table; a time token and
    then a condition token are appended at the end; the head gives one logit for each bit. With
    `patch_size` above 1 a token stands for a square of cells (as in ViT and DiT): 2 makes a quarter
    of the tokens, and a call about four times as fast.

    Args:
        code_shape: (height, width, channels) of a code.
        depth: number of transformer blocks.
        width: channels of a token, a multiple of 4.
        num_heads: attention heads, must divide `width`.
        num_training_steps: T of training; scales the time embedding.
        num_classes: number of classes for a class-conditional model.
        text_width: channels of a text embedding for a text-conditional model.
        text_conditioning: "token" (one embedding of shape (batch, text_width), appended as a
            token) or "cross_attention" (a sequence of shape (batch, length, text_width)).
        patch_size: cells of a token in each direction, must divide the code's height and width; 1
            is the paper's.
        dropout: share of the channels of each branch of a block that training leaves out, in
            [0, 0.9]; 0 is the paper's. It helps where the data are few.

    Call arguments:
        codes: z^t in {0, 1}, shape (batch, height, width, channels).
        time_steps: t in 1 ... T, integers of shape (batch,).
        condition: labels (batch,) or text embeddings; None leaves the condition out for all.
        condition_present: optional booleans (batch,); False leaves the condition of a sample out.
        training: whether channels are left out (`dropout`).

    Output shape:
        float32 logits, the shape of `codes`.

    Raises:
        ValueError: sizes that do not fit together.

    Example:

    >>> import keras_bld, numpy as np
    >>> denoiser = keras_bld.BernoulliDenoiser(
    ...     (4, 4, 16), depth=2, width=64, num_heads=4, num_training_steps=16
    ... )
    >>> tuple(denoiser(np.zeros((3, 4, 4, 16)), np.array([1, 8, 16])).shape)
    (3, 4, 4, 16)
    """

    def __init__(
        self,
        code_shape,
        depth,
        width,
        num_heads,
        num_training_steps,
        num_classes=None,
        text_width=None,
        text_conditioning="token",
        patch_size=1,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.code_shape = _check_code_shape(code_shape)
        self.patch_size = checks.check_integer("patch_size", patch_size, 1)
        if any(side % self.patch_size for side in self.code_shape[:2]):
            raise checks.error(
                "patch_size",
                f"{patch_size} for codes of {self.code_shape[0]} x {self.code_shape[1]} cells",
                "a divisor of the code's height and width",
                "choose 1 or 2",
            )
        self.dropout = checks.check_number("dropout", dropout, 0.0, maximum=0.9)
        self.depth = checks.check_integer("depth", depth, 1)
        self.width = checks.check_integer("width", width, 4)
        self.num_heads = checks.check_integer("num_heads", num_heads, 1)
        self.num_training_steps = checks.check_integer("num_training_steps", num_training_steps, 1)
        if self.width % self.num_heads or self.width % 4:
            raise checks.error(
                "width",
                f"width {width} with {num_heads} heads",
                "a multiple of 4 and of num_heads",
                "choose e.g. width = 64 * num_heads",
            )
        if num_classes is not None and text_width is not None:
            raise checks.error(
                "num_classes", "num_classes and text_width", "one condition", "leave one out"
            )
        self.num_classes = (
            None if num_classes is None else checks.check_integer("num_classes", num_classes, 1)
        )
        self.text_width = (
            None if text_width is None else checks.check_integer("text_width", text_width, 1)
        )
        checks.check_choice("text_conditioning", text_conditioning, TEXT_CONDITIONINGS)
        self.text_conditioning = text_conditioning
        with keras.name_scope(self.name, caller=self):
            self._make_layers()
        self.built = True

    @classmethod
    def for_autoencoder(cls, autoencoder, **options):
        """Build a denoiser with sizes that go with the codes of an autoencoder.

        Args:
            autoencoder: a `BinaryAutoencoder`, or another with `image_shape` and `code_shape`.
            **options: arguments of the class, such as `num_classes`, or in place of the table's
                (`SIZES` in `keras_bld.base.sizes`).

        Raises:
            ValueError: as the class itself; images that the table has no sizes for.

        Example:

        >>> import keras_bld
        >>> autoencoder = keras_bld.BinaryAutoencoder.for_images((16, 16, 1))
        >>> BernoulliDenoiser.for_autoencoder(autoencoder, num_classes=10).width
        128
        """
        sizes = sizes_for(autoencoder.image_shape).denoiser
        return cls(autoencoder.code_shape, **{**sizes, **options})

    def _make_layers(self):
        rows, columns, channels = self.token_grid
        policy = self.dtype_policy
        self.token_embedding = dense(channels, self.width, policy, "token_embedding", False)
        self.token_embedding.kernel.assign(keras.random.normal((channels, self.width), stddev=0.02))
        self.positions = self.add_weight(
            shape=(1, rows * columns, self.width),
            initializer=lambda shape, dtype: ops.convert_to_tensor(
                sine_position_table(rows, columns, self.width), dtype
            ),
            name="positions",
        )
        self.time_embedding = TimeEmbedding(
            self.width, self.num_training_steps, dtype=policy, name="time_embedding"
        )
        self.condition_embedding = None
        if self.num_classes is not None:
            self.condition_embedding = keras.layers.Embedding(
                self.num_classes,
                self.width,
                embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
                dtype=policy,
                name="condition_embedding",
            )
            self.condition_embedding.build((None,))
        elif self.text_width is not None and not self._crosses:
            self.condition_embedding = dense(
                self.text_width, self.width, policy, "condition_embedding"
            )
        cross_width = self.text_width if self._crosses else None
        self.blocks = [
            TransformerBlock(
                self.width,
                self.num_heads,
                cross_width,
                self.dropout,
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(self.depth)
        ]
        self.output_norm = layer_normalization(self.width, policy, "output_norm")
        self.head = dense(self.width, channels, policy, "head")

    def facts(self):
        return [
            f"codes {self.code_shape}",
            *([f"{self.patch_size} x {self.patch_size} cells a token"] * (self.patch_size > 1)),
            f"{counted(self.depth, 'block')} of width {self.width}",
            counted(self.num_heads, "head"),
            f"T = {self.num_training_steps}",
            *condition_facts(self),
        ]

    def output_shapes(self):
        tokens = self.num_tokens + 1 + (self.condition_kind in ("class", "token"))
        shapes = [(block, (None, tokens, self.width)) for block in self.blocks]
        return [(self.time_embedding, (None, self.width)), *shapes]

    @property
    def token_grid(self):
        """(rows, columns, bits of a token): the code's shape where a token is a cell."""
        height, columns, channels = self.code_shape
        patch = self.patch_size
        return height // patch, columns // patch, patch * patch * channels

    @property
    def num_tokens(self):
        """Tokens of a code, without those of time and condition."""
        rows, columns, _ = self.token_grid
        return rows * columns

    @property
    def condition_kind(self):
        """None, "class", "token" or "cross_attention"."""
        if self.num_classes is not None:
            return "class"
        return None if self.text_width is None else self.text_conditioning

    @property
    def _crosses(self):
        return self.text_width is not None and self.text_conditioning == "cross_attention"

    def call(self, codes, time_steps, condition=None, condition_present=None, training=False):
        checks.check_batch_shape("codes", codes, self.code_shape)
        if condition is not None and self.condition_kind is None:
            raise checks.error(
                "condition",
                "a condition",
                "None, the denoiser is unconditional",
                "leave it out, or build the denoiser with num_classes or text_width",
            )
        num_tokens = self.num_tokens
        signs = self._to_tokens(2.0 * ops.cast(codes, "float32") - 1.0)
        tokens = self.token_embedding(ops.cast(signs, self.compute_dtype))
        tokens = tokens + ops.cast(self.positions, self.compute_dtype)
        extra = [self.time_embedding(time_steps)[:, None]]
        mask = text = text_visible = None
        if self._crosses:
            text = condition
            if text is not None and condition_present is not None:
                text_visible = self._visible_keys(condition_present, text.shape[1])
        elif condition is not None:
            extra.append(self.condition_embedding(condition)[:, None])
            if condition_present is not None:
                # The condition token is the last key; a masked key is a token left out.
                keys = ops.arange(num_tokens + 2) <= num_tokens
                mask = ops.logical_or(keys[None], condition_present[:, None])[:, None, None, :]
        tokens = ops.concatenate([tokens, *extra], axis=1)  # (batch, tokens + 1 or 2, width)
        for block in self.blocks:
            tokens = block(
                tokens,
                attention_mask=mask,
                text=text,
                text_visible=text_visible,
                training=training,
            )
        logits = self.head(self.output_norm(tokens[:, :num_tokens]))
        return self._to_codes(ops.cast(logits, "float32"))

    def _to_tokens(self, codes):
        """(batch, height, width, channels) -> (batch, tokens, bits of a token)."""
        rows, columns, bits = self.token_grid
        if self.patch_size > 1:
            patch, channels = self.patch_size, self.code_shape[-1]
            codes = ops.reshape(codes, (-1, rows, patch, columns, patch, channels))
            codes = ops.transpose(codes, (0, 1, 3, 2, 4, 5))
        return ops.reshape(codes, (-1, rows * columns, bits))

    def _to_codes(self, tokens):
        """The reverse of `_to_tokens`."""
        rows, columns, _ = self.token_grid
        if self.patch_size > 1:
            patch, channels = self.patch_size, self.code_shape[-1]
            tokens = ops.reshape(tokens, (-1, rows, columns, patch, patch, channels))
            tokens = ops.transpose(tokens, (0, 1, 3, 2, 4, 5))
        return ops.reshape(tokens, (-1, *self.code_shape))

    def _visible_keys(self, present, length):
        # The null embedding is key 0: visible exactly where the text is not.
        is_text = ops.arange(length + 1) > 0
        return ops.equal(is_text[None], present[:, None])[:, None, None, :]

    def get_config(self):
        return {
            **super().get_config(),
            "code_shape": list(self.code_shape),
            "depth": self.depth,
            "width": self.width,
            "num_heads": self.num_heads,
            "num_training_steps": self.num_training_steps,
            "num_classes": self.num_classes,
            "text_width": self.text_width,
            "text_conditioning": self.text_conditioning,
            "patch_size": self.patch_size,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild from `get_config`; presets of before called T `num_steps`."""
        config = dict(config)
        if "num_steps" in config:
            config["num_training_steps"] = config.pop("num_steps")
        return cls(**config)


def _check_code_shape(code_shape):
    sizes = tuple(int(size) for size in code_shape)
    if len(sizes) != 3 or math.prod(sizes) <= 0 or min(sizes) < 1:
        raise checks.error(
            "code_shape",
            f"{code_shape}",
            "three positive sizes (height, width, channels)",
            "pass e.g. (16, 16, 32)",
        )
    return sizes
