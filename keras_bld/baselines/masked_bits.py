"""Masked-bit prediction with confidence-based sampling, as in MaskBit."""

import math

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks, replicas
from keras_bld.baselines.prior import UNKNOWN, BaselinePrior, draw_bits


@keras.saving.register_keras_serializable("keras_bld")
class MaskedBitPrior(BaselinePrior):
    """Groups of bits are masked together; sampling keeps the groups it is surest of.

    Each cell has `num_groups` groups of channels. Training masks a share cos(pi u / 2) of the
    groups, u uniform. A sampling step fills all masked groups, then masks again those of least
    confidence (log-probability of the drawn bits plus Gumbel noise that fades), along the same
    cosine.

    Source: Weber et al., "MaskBit: Embedding-free Image Generation via Bit Tokens" (2024);
    Chang et al., "MaskGIT" (2022), Sec. 3.2.

    Args:
        denoiser: a `BernoulliDenoiser`; its time step tells the share of masked groups.
        autoencoder, label_dropout, sampling, class_names: as in `CodePrior`.
        num_groups: groups of channels in a cell; must divide their number.
        choice_temperature: of the Gumbel noise at the start, >= 0.
    """

    def __init__(
        self,
        denoiser,
        autoencoder=None,
        label_dropout=0.1,
        num_groups=2,
        choice_temperature=4.5,
        **kwargs,
    ):
        super().__init__(denoiser, autoencoder, label_dropout, **kwargs)
        self.num_groups = checks.check_integer("num_groups", num_groups, 1)
        if self.code_shape[-1] % self.num_groups:
            raise checks.error(
                "num_groups",
                f"{num_groups} for {self.code_shape[-1]} channels",
                "a divisor of the channels",
                "pass e.g. 2",
            )
        self.choice_temperature = checks.check_number("choice_temperature", choice_temperature, 0.0)

    def corrupt(self, codes, time_steps):
        """Mask a share of the groups that the time step stands for."""
        batch = ops.shape(codes)[0]
        height, width, _ = self.code_shape
        # u = 1 - t / T: late time steps have most masked.
        u = 1.0 - ops.cast(time_steps, "float32") / self.num_training_steps
        share = ops.cos(0.5 * math.pi * u)[:, None, None, None]
        draws = replicas.uniform((batch, height, width, self.num_groups), self.seed_generator)
        masked = self._to_bits(ops.cast(draws < share, "float32"))
        # The mean over masked bits of each sample.
        weights = masked / ops.maximum(ops.mean(masked, axis=(1, 2, 3), keepdims=True), 1e-3)
        noisy_codes = masked * UNKNOWN + (1.0 - masked) * codes
        return {"noisy_codes": noisy_codes, "weights": weights}

    def make_step(self, sampling, logits_of, draw, known=None):
        """Fill all masked groups, keep the surest."""
        num_steps, total = len(sampling.time_steps), self.num_training_steps

        def step(index, codes):
            progress = ops.cast(index + 1, "float32") / num_steps
            time = total - ops.cast(index, "float32") * total / num_steps
            time = ops.cast(ops.maximum(ops.round(time), 1.0), "int32")
            logits = logits_of(codes, ops.broadcast_to(time, (codes.shape[0],)))
            bits = draw_bits(logits, sampling.temperature, draw(2 * index))
            noise_level = self.choice_temperature * (1.0 - progress)
            share_masked = ops.cos(0.5 * math.pi * progress)
            share_masked = ops.where(ops.equal(index, num_steps - 1), 0.0, share_masked)
            return self._keep_surest(
                codes, bits, logits, draw(2 * index + 1), noise_level, share_masked
            )

        return step

    def _keep_surest(self, codes, bits, logits, noise, noise_level, share_masked):
        """Fill unknown bits, then mask the groups again whose bits are least sure.

        Args:
            codes: the state, unknown bits 0.5.
            bits: drawn for all places, of these logits.
            noise: uniforms, for Gumbel noise of this level on the confidence.
            share_masked: of all groups.
        """
        known = ops.not_equal(codes, UNKNOWN)
        filled = ops.where(known, codes, bits)
        confidence = self._to_groups(bits * logits - ops.softplus(logits))  # log-probability
        # One draw for a group: that of its first bit.
        uniform = noise[..., :: codes.shape[-1] // self.num_groups]
        gumbel = -ops.log(-ops.log(ops.clip(uniform, 1e-6, 1.0 - 1e-6)))
        confidence = confidence + noise_level * gumbel
        is_known = self._to_groups(ops.cast(known, "float32")) > 0.0
        confidence = ops.where(is_known, 1e9, confidence)
        num_groups = int(np.prod(self.code_shape[:2])) * self.num_groups
        num_masked = ops.cast(ops.floor(share_masked * num_groups), "int32")
        flat = ops.reshape(confidence, (-1, num_groups))
        rank = ops.argsort(ops.argsort(flat, axis=1), axis=1)  # 0: least sure
        stays_masked = ops.reshape(rank < num_masked, ops.shape(confidence))
        return ops.where(self._to_bits(ops.cast(stays_masked, "float32")) > 0.0, UNKNOWN, filled)

    def _to_groups(self, bits):
        """Sum over the channels of a group: (batch, h, w, c) -> (batch, h, w, num_groups)."""
        height, width, channels = self.code_shape
        shape = (-1, height, width, self.num_groups, channels // self.num_groups)
        return ops.sum(ops.reshape(bits, shape), axis=-1)

    def _to_bits(self, groups):
        """The value of its group for every bit."""
        return ops.repeat(groups, self.code_shape[-1] // self.num_groups, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "num_groups": self.num_groups,
            "choice_temperature": self.choice_temperature,
        }
