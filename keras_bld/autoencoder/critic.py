"""The patch critic: real or reconstructed, judged for every patch of an image."""

import keras
from keras import ops

from keras_bld.autoencoder.blocks import convolution
from keras_bld.base import checks, replicas

KERNEL_SIZE = 4


@keras.saving.register_keras_serializable("keras_bld")
class PatchCritic(keras.layers.Layer):
    """PatchGAN critic (Isola et al. 2017) of the published binary autoencoder.

    `blocks` follows the published order (`disc.main.0`, `.1`, ...): a 4x4 convolution of stride 2
    and LeakyReLU(0.2); then `num_layers` times a 4x4 convolution without bias, batch
    normalisation and LeakyReLU, of stride 2 but for the last; and a 4x4 convolution to one
    channel. All convolutions pad one pixel on every side.

    Batch normalisation has torch's defaults (epsilon 1e-5, momentum 0.1, which Keras calls 0.9).
    Its running variance is the biased one; torch stores the unbiased one.

    Args:
        base_width: channels of the first convolution; doubled by each further one, up to 8 times.
        num_layers: number of normalised convolutions. One logit judges a patch of 16, 34, 70
            (default), ... pixels for 1, 2, 3, ... layers.

    Call arguments:
        images: (batch, height, width, channels).
        training: whether batch normalisation uses (and updates) statistics of the batch.

    Output shape: (batch, height / 2**num_layers - 2, width / 2**num_layers - 2, 1) logits.

    Raises:
        ValueError: the image is too small for `num_layers`.
    """

    def __init__(self, base_width=64, num_layers=3, **kwargs):
        super().__init__(**kwargs)
        self.base_width = checks.check_integer("base_width", base_width, 1)
        self.num_layers = checks.check_integer("num_layers", num_layers, 1)

    @staticmethod
    def largest_num_layers(image_shape):
        """The published 3 layers, or fewer for images smaller than 24 pixels."""
        smallest = min(image_shape[:2])
        return max(n for n in (1, 2, 3) if n == 1 or smallest // 2**n >= 3)

    def build(self, input_shape):
        """Create and build the layers."""
        if min(input_shape[1:3]) // 2**self.num_layers < 3:
            raise checks.error(
                "num_layers",
                f"{self.num_layers} for images of {input_shape[1]}x{input_shape[2]} pixels",
                f"images of at least {3 * 2**self.num_layers} pixels on each side",
                "use fewer layers",
            )
        self.blocks = [self._convolution(self.base_width, 2), self._activation()]
        for layer in range(1, self.num_layers + 1):
            width = self.base_width * min(2**layer, 8)
            strides = 2 if layer < self.num_layers else 1
            self.blocks += [
                self._convolution(width, strides, use_bias=False),
                keras.layers.BatchNormalization(
                    epsilon=1e-5,
                    momentum=0.9,
                    # The statistics are those of the whole batch on every backend.
                    synchronized=replicas.will_be_replicated(),
                    dtype=self.dtype_policy,
                ),
                self._activation(),
            ]
        self.blocks.append(self._convolution(1, 1))
        shape = tuple(input_shape)
        for block in self.blocks:
            if isinstance(block, keras.layers.Conv2D):
                shape = (shape[0], shape[1] + 2, shape[2] + 2, shape[3])
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def _convolution(self, filters, strides, **kwargs):
        return convolution(
            filters, KERNEL_SIZE, strides, padding="valid", dtype=self.dtype_policy, **kwargs
        )

    def _activation(self):
        return keras.layers.LeakyReLU(negative_slope=0.2, dtype=self.dtype_policy)

    def call(self, images, training=False):
        """Images -> logits, one for each patch."""
        x = images
        for block in self.blocks:
            if isinstance(block, keras.layers.Conv2D):
                x = block(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
            elif isinstance(block, keras.layers.BatchNormalization):
                x = block(x, training=training)
            else:
                x = block(x)
        return x

    def get_config(self):
        """Constructor arguments."""
        config = {"base_width": self.base_width, "num_layers": self.num_layers}
        return {**super().get_config(), **config}
