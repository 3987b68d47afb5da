"""The autoencoder of the paper with another bottleneck than Bernoulli bits."""

import keras
from keras import ops

from keras_bld.autoencoder import BinaryAutoencoder
from keras_bld.base import checks
from keras_bld.base.batching import BatchedFunction, comfortable_batch_size
from keras_bld.baselines.bottleneck import Bottleneck


@keras.saving.register_keras_serializable("keras_bld")
class BottleneckAutoencoder(BinaryAutoencoder):
    """Encoder, decoder and objective of `BinaryAutoencoder` around any `Bottleneck` (Table 4).

    Args:
        image_shape: as in `BinaryAutoencoder`.
        bottleneck: a `Bottleneck` of this package.
        **options: the other arguments of `BinaryAutoencoder`.

    Raises:
        TypeError: `bottleneck` is none.

    Example:
        >>> import numpy as np
        >>> from keras_bld.baselines import BottleneckAutoencoder, VectorQuantizer
        >>> model = BottleneckAutoencoder((16, 16, 1), VectorQuantizer(64, 4), base_width=8,
        ...     width_multipliers=(1, 2), num_blocks=1, embedding_width=8, num_groups=4)
        >>> model.reconstruct(np.zeros((3, 16, 16, 1), "float32")).shape
        (3, 16, 16, 1)
        >>> model.bits_per_image
        384.0
    """

    def __init__(self, image_shape, bottleneck, **options):
        if not isinstance(bottleneck, Bottleneck):
            raise checks.error(
                "bottleneck",
                repr(bottleneck),
                "a Bottleneck of keras_bld.baselines",
                "pass e.g. VectorQuantizer(1024, 16)",
                kind=TypeError,
            )
        # A function, because torch takes no layers before the constructor of its class ran.
        self._given_bottleneck = lambda: bottleneck
        super().__init__(image_shape, bottleneck.code_channels, **options)

    @property
    def bits_per_image(self):
        """What a code costs to store, in bits."""
        height, width, _ = self.code_shape
        return float(height * width * self.bottleneck.bits_per_cell)

    def _create_networks(self, image_channels):
        super()._create_networks(image_channels)
        self.bottleneck = self._given_bottleneck()
        del self._given_bottleneck

    def _num_logits(self):
        return self._given_bottleneck().num_inputs

    def _create_code_metrics(self):
        self._bottleneck_metric = keras.metrics.Mean(name="bottleneck_loss")

    def _update_code_metrics(self, y_pred):
        self._bottleneck_metric.update_state(ops.stop_gradient(y_pred["bottleneck_loss"]))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The objective of `BinaryAutoencoder` plus the bottleneck's own loss."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + y_pred["bottleneck_loss"]

    def _forward(self, images, training):
        codes, loss = self.bottleneck(self.code_logits(self.encoder(images)), training=training)
        features = self.decoder.features(codes)
        reconstruction = ops.cast(self.decoder.last_convolution(features), "float32")
        return {"bottleneck_loss": loss, "features": features, "reconstruction": reconstruction}

    def _create_batched_functions(self):
        def encode(indices, images):
            return self.bottleneck(self.code_logits(self.encoder(images)))[0]

        self._batched_encode = BatchedFunction(
            encode,
            lambda: (
                [*self.encoder.variables, *self.code_logits.variables]
                + list(self.bottleneck.variables)
            ),
            self._check_images,
            comfortable_batch_size(self.image_shape),
        )
        self._batched_decode = BatchedFunction(
            lambda indices, codes: self._decode_clipped(codes),
            lambda: self.decoder.variables,
            self._check_codes,
            comfortable_batch_size(self.image_shape),
        )
        self._inference_engine = None

    def _batched_functions(self):
        return (self._batched_encode, self._batched_decode)

    def encode(self, images, batch_size=None):
        """Images -> codes of the bottleneck: float32 (batch, *code_shape), not bits.

        Args:
            images: as in `BinaryAutoencoder.encode`; arrays.
            batch_size: images in one compiled batch.
        """
        return self._batched_encode(images, batch_size)

    def encode_probabilities(self, images, batch_size=None):
        """Raise ValueError: codes of other bottlenecks are no coin flips."""
        raise checks.error(
            "bottleneck",
            type(self.bottleneck).__name__,
            "a BinaryAutoencoder for probabilities of bits",
            "call encode",
        )

    def _check_codes(self, codes):
        checks.check_batch_shape("codes", codes, self.code_shape)
        return codes

    def get_config(self):
        config = super().get_config()
        del config["code_channels"]
        return {**config, "bottleneck": keras.saving.serialize_keras_object(self.bottleneck)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`."""
        config = dict(config)
        if isinstance(config["bottleneck"], dict):
            config["bottleneck"] = keras.saving.deserialize_keras_object(
                config["bottleneck"], custom_objects=custom_objects
            )
        return super().from_config(config, custom_objects)
