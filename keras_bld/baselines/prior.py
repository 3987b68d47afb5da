"""Baseline priors: what those of Table 5 share beside `CodePrior`."""

from keras import ops

from keras_bld.diffusion.code_prior import CodePrior
from keras_bld.diffusion.objective import NATS_PER_BIT, bce_with_logits

UNKNOWN = 0.5
"""A bit that is not known yet; (2z - 1) E of the denoiser makes it a token of nothing."""


class BaselinePrior(CodePrior):
    """A prior that fills in unknown bits: the loss is the weighted cross-entropy of the bits.

    A subclass defines `corrupt`, which returns `noisy_codes` (unknown bits 0.5) and `weights` (of
    the bits in the loss), and `make_step`.

    Args:
        denoiser: network (codes, time_steps, condition, condition_present) -> logits of bits,
            where unknown bits come as 0.5; e.g. a `BernoulliDenoiser`.
        autoencoder, label_dropout, sampling, class_names: as in `CodePrior`. Of `Sampling`, the
            posterior and the final step are those of the Bernoulli diffusion: not looked at.
    """

    def __init__(self, denoiser, *args, **kwargs):
        super().__init__(denoiser, *args, **kwargs)
        self.time_grid(self.sampling)  # raises where it does not fit

    def loss_terms(self, outputs):
        """Weighted cross-entropy of the bits, in nats."""
        logits, codes = ops.cast(outputs["logits"], "float32"), outputs["codes"]
        axes = (1, 2, 3)
        loss = ops.mean(outputs["weights"] * bce_with_logits(codes, logits), axis=axes)
        is_right = ops.cast(ops.equal(logits > 0.0, codes > 0.5), "float32")
        return {
            "loss": loss,
            "bce": loss,
            "bits_per_dimension": loss / NATS_PER_BIT,
            "accuracy": ops.mean(is_right, axis=axes),
        }

    def start(self, draw, batch_size):
        """All bits unknown."""
        return ops.full((batch_size, *self.code_shape), UNKNOWN, "float32")


def draw_bits(logits, temperature, noise):
    """Bits of the predicted distribution at a temperature; bit = noise < probability."""
    return ops.cast(noise < ops.sigmoid(logits / temperature), "float32")
