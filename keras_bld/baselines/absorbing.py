"""Absorbing (masked) diffusion over bits."""

import keras
import numpy as np
from keras import ops

from keras_bld.baselines.prior import UNKNOWN, RivalPrior


@keras.saving.register_keras_serializable("keras_bld")
class AbsorbingDiffusion(RivalPrior):
    """Bits turn into a mask and never back: at time t each is masked with probability t / T.

    The loss is the exact bound, T / t times the cross-entropy of the masked bits; a step from t to
    s reveals each masked bit with probability (t - s) / t, drawn from the prediction. What is
    revealed stays: the paper's argument against it (Sec. 5.3).

    Source: Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces" (2021);
    Bond-Taylor et al., "Unleashing Transformers" (2022), the paper's rival in Table 5.

    Args:
        denoiser: a `BernoulliDenoiser`.
        autoencoder: as in `BinaryLatentDiffusion`.
        label_dropout: as there.
    """

    def corrupt(self, codes, time_steps):
        """Mask with probability t / T; weight T / t on masked bits."""
        share = ops.cast(time_steps, "float32")[:, None, None, None] / self.num_steps
        draws = keras.random.uniform(ops.shape(codes), dtype="float32", seed=self.seed_generator)
        masked = ops.cast(draws < share, "float32")
        return masked * UNKNOWN + (1.0 - masked) * codes, masked / share

    def next_codes(self, index, codes, logits_of, noise, temperature, num_steps):
        """Reveal masked bits on the way from t to s."""
        grid = self.schedule.sampling_steps(num_steps)
        reveal = (grid - np.append(grid[1:], 0)) / grid
        time = ops.take(ops.convert_to_tensor(grid.astype("int32")), index)
        logits = logits_of(codes, ops.broadcast_to(time, (codes.shape[0],)))
        bits = ops.cast(noise(0) < ops.sigmoid(logits / temperature), "float32")
        share = ops.take(ops.convert_to_tensor(reveal.astype("float32")), index)
        revealed = ops.logical_and(ops.equal(codes, UNKNOWN), noise(1) < share)
        return ops.where(revealed, bits, codes)
