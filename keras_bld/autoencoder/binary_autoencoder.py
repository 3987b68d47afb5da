"""Stage 1 of the paper: the trainable model that turns images into bits and bits into images."""

import keras
from keras import ops

from keras_bld.autoencoder.bernoulli_bottleneck import BernoulliBottleneck
from keras_bld.autoencoder.code_autoencoder import CodeAutoencoder
from keras_bld.autoencoder.metrics import DeadBits, MeanOfBatches, mean_bit_entropy
from keras_bld.base.sizes import sizes_for


@keras.saving.register_keras_serializable("keras_bld")
class BinaryAutoencoder(CodeAutoencoder):
    """Image <-> grid of bits: encoder, Bernoulli bits with straight-through gradient, decoder.

    Source: paper, Section 3.

    Args:
        image_shape: (height, width, channels), see `CodeAutoencoder`.
        code_channels: bits for each cell of the grid.
        sharpness: of the bits' probabilities, see `BernoulliBottleneck`; 1 is the paper's.
        bit_gradient: "straight_through", the paper's, or "reinmax", see
            `BernoulliStraightThrough`.
        **options: the other arguments of `CodeAutoencoder`: sizes of the networks, and the terms
            of the objective.

    Raises:
        ValueError: sizes that do not fit together, unknown options, negative weights.

    Example:
        >>> import numpy as np
        >>> from keras_bld import BinaryAutoencoder
        >>> model = BinaryAutoencoder((16, 16, 1), 8, base_width=8, width_multipliers=(1, 2),
        ...                           num_blocks=1, embedding_width=8, num_groups=4)
        >>> codes = model.encode(np.zeros((3, 16, 16, 1), "float32"))
        >>> codes.shape, model.decode(codes).shape
        ((3, 8, 8, 8), (3, 16, 16, 1))
    """

    def __init__(
        self,
        image_shape,
        code_channels,
        sharpness=1.0,
        bit_gradient="straight_through",
        **options,
    ):
        bottleneck = BernoulliBottleneck(code_channels, sharpness=sharpness, gradient=bit_gradient)
        super().__init__(image_shape, bottleneck, **options)
        self._batched_probabilities = self._encoding(
            lambda _, images: self._probabilities(self._logits(images))
        )

    @classmethod
    def for_images(cls, image_shape, **options):
        """Build a model with sizes that go with these images.

        Args:
            image_shape: (height, width, channels), up to 1024 pixels a side; see `SIZES` in
                `keras_bld.base.sizes` (the page "Presets and sizes" prints it).
            **options: arguments of the class in place of the table's.

        Raises:
            ValueError: as `sizes_for`, and as the class itself.

        Example:
            >>> BinaryAutoencoder.for_images((16, 16, 1), code_channels=8).code_shape
            (4, 4, 8)
        """
        return cls(image_shape, **{**sizes_for(image_shape).autoencoder, **options})

    def encode_probabilities(self, images, batch_size=None, progress=True):
        """P(bit = 1) for every bit: float32 (batch, *code_shape).

        Args:
            images, batch_size, progress: as for `encode`.

        Raises:
            ValueError: wrong shape, empty batch, or values outside [0, 1].
        """
        if ops.is_tensor(images):
            return self._probabilities(self._logits(self._check_images(images)))
        return self._batched_probabilities(images, batch_size, progress=progress)

    def _probabilities(self, logits):
        return self.bottleneck.probabilities(logits)

    def _substitutes(self, engine):
        def probabilities(_, images):
            return self._probabilities(ops.convert_to_tensor(engine.logits(images)))

        return [*super()._substitutes(engine), (self._batched_probabilities, probabilities)]

    def _create_code_metrics(self):
        self._dead_bits_metric = DeadBits(self.code_shape)
        self._bit_entropy_metric = MeanOfBatches(name="bit_entropy")

    def _update_code_metrics(self, y_pred, sample_weight):
        probabilities = ops.stop_gradient(self._probabilities(y_pred["logits"]))
        self._dead_bits_metric.update_state(probabilities, sample_weight)
        entropy = mean_bit_entropy(probabilities, sample_weight)
        self._bit_entropy_metric.update_state(entropy, sample_weight)

    def coding_parts(self):
        """Encoder and decoder: the code's shape says all of the paper's bits between them."""
        described = [self.encoder, self.decoder]
        if self.bottleneck.sharpness != 1.0:
            described.append(self.bottleneck)
        return described, [self.encoder, self.code_logits, self.decoder]

    def get_config(self):
        """Constructor arguments; see `CodeAutoencoder.get_config`."""
        return {
            **super().get_config(),
            "code_channels": self.code_channels,
            "sharpness": self.bottleneck.sharpness,
            "bit_gradient": self.bottleneck.gradient,
        }
