"""The autoencoder of the paper with another bottleneck than Bernoulli bits."""

import keras
from keras import ops

from keras_bld.autoencoder import CodeAutoencoder


@keras.saving.register_keras_serializable("keras_bld")
class BottleneckAutoencoder(CodeAutoencoder):
    """Encoder, decoder and objective of the paper around any `Bottleneck` (Table 4).

    Where the bottleneck's latents are discrete, codes are bits and stage 2 learns from them as
    from those of a `BinaryAutoencoder`.

    Args:
        image_shape, and all others: see `CodeAutoencoder`.
        bottleneck: a `Bottleneck`: one of this package, or a class of your own.

    Raises:
        ValueError: sizes that do not fit together, unknown options, negative weights.
        TypeError: `bottleneck` is none.

    Example:
        >>> import numpy as np
        >>> from keras_bld.baselines import BottleneckAutoencoder, VectorQuantizer
        >>> model = BottleneckAutoencoder((16, 16, 1), VectorQuantizer(64, 4), base_width=8,
        ...     width_multipliers=(1, 2), num_blocks=1, embedding_width=8, num_groups=4)
        >>> model.encode(np.zeros((3, 16, 16, 1), "float32")).shape  # 64 codewords, 6 bits
        (3, 8, 8, 6)
        >>> model.bits_per_image
        384.0
    """

    def _create_code_metrics(self):
        self._bottleneck_metric = keras.metrics.Mean(name="bottleneck_loss")

    def _update_code_metrics(self, y_pred, sample_weight):
        self._bottleneck_metric.update_state(ops.stop_gradient(y_pred["bottleneck_loss"]))

    def get_config(self):
        """Constructor arguments; the bottleneck as a serialised Keras object."""
        bottleneck = keras.saving.serialize_keras_object(self.bottleneck)
        return {**super().get_config(), "bottleneck": bottleneck}
