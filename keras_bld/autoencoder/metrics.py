"""Metrics that `fit` shows: of reconstructions, and of the use of the bits."""

import math

import keras
from keras import ops

from keras_bld.autoencoder.losses import mean_over


class MeanOfBatches(keras.metrics.Mean):
    """Mean of the terms of a loss: of each batch one number, which weighs as much as its samples.

    As the loss it is shown beside, a term is given as the mean of value times sample weight.
    """

    def update_state(self, term, sample_weight=None):
        """Add a batch.

        Args:
            term: mean over the samples of weight times value, a scalar.
            sample_weight: None, or the weights, (batch,).
        """
        term = ops.stop_gradient(term)
        if sample_weight is None:
            return super().update_state(term)
        mean_weight = ops.mean(sample_weight)
        return super().update_state(ops.divide_no_nan(term, mean_weight), sample_weight=mean_weight)


def mean_psnr(images, reconstruction, sample_weight=None):
    """Mean over images of the peak signal-to-noise ratio in dB; images in [0, 1].

    The reconstruction is clipped to [0, 1] first; an exact one scores 100 dB.
    """
    clipped = ops.clip(ops.cast(reconstruction, "float32"), 0.0, 1.0)
    difference = clipped - ops.cast(images, "float32")
    squared_error = ops.mean(ops.square(difference), axis=(1, 2, 3))
    decibels = -10.0 / math.log(10.0) * ops.log(ops.maximum(squared_error, 1e-10))
    return mean_over(decibels, sample_weight)


def binary_entropy(probabilities):
    """Entropy of Bernoulli(p) in nats, elementwise, in float32."""
    p = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1.0 - 1e-7)
    return -(p * ops.log(p) + (1.0 - p) * ops.log(1.0 - p))


def mean_bit_entropy(probabilities, sample_weight=None):
    """Mean entropy of Bernoulli(p) in bits: 1 where the encoder does not know, 0 where it does."""
    return mean_over(binary_entropy(probabilities), sample_weight) / math.log(2.0)


@keras.saving.register_keras_serializable("keras_bld")
class DeadBits(keras.metrics.Metric):
    """Share of bits that are the same in every image seen since the last reset.

    A bit is one position and channel of the code; it counts as set where its probability is above
    0.5, as in `encode`. A dead bit carries no information.

    Args:
        code_shape: (height, width, channels) of one code.
    """

    def __init__(self, code_shape, name="dead_bits", **kwargs):
        super().__init__(name=name, **kwargs)
        self.code_shape = tuple(code_shape)
        self.num_set = self.add_variable(self.code_shape, "zeros", name="num_set")
        self.num_images = self.add_variable((), "zeros", name="num_images")

    def update_state(self, probabilities, sample_weight=None):
        """Count the set bits of a batch of probabilities (batch, *code_shape).

        Images of weight 0 are not seen.
        """
        bits = ops.cast(probabilities > 0.5, self.num_set.dtype)
        num_images = ops.cast(ops.shape(bits)[0], self.num_images.dtype)
        if sample_weight is not None:
            is_seen = ops.cast(sample_weight > 0, bits.dtype)
            bits, num_images = bits * is_seen[:, None, None, None], ops.sum(is_seen)
        self.num_set.assign_add(ops.sum(bits, axis=0))
        self.num_images.assign_add(num_images)

    def result(self):
        """Share in [0, 1]."""
        never = ops.equal(self.num_set, 0.0)
        always = ops.equal(self.num_set, self.num_images)
        return ops.mean(ops.cast(ops.logical_or(never, always), "float32"))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "code_shape": self.code_shape}
