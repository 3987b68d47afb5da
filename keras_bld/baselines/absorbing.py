"""Absorbing (masked) diffusion over bits."""

import keras
import numpy as np
from keras import ops

from keras_bld.base import replicas
from keras_bld.baselines.prior import UNKNOWN, BaselinePrior, draw_bits


@keras.saving.register_keras_serializable("keras_bld")
class AbsorbingDiffusion(BaselinePrior):
    """Bits turn into a mask and never back: at time t each is masked with probability t / T.

    The loss is the exact bound, T / t times the cross-entropy of the masked bits; a step from t to
    s reveals each masked bit with probability (t - s) / t, drawn from the prediction. What is
    revealed stays: the paper's argument against it (Sec. 5.3).

    Source: Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces" (2021);
    Bond-Taylor et al., "Unleashing Transformers" (2022), the paper's baseline in Table 5.

    Args:
        denoiser: a `BernoulliDenoiser`.
        autoencoder, label_dropout, sampling, class_names: as in `CodePrior`.
    """

    def corrupt(self, codes, time_steps):
        """Mask with probability t / T; weight T / t on masked bits."""
        share = ops.cast(time_steps, "float32")[:, None, None, None] / self.num_training_steps
        draws = replicas.uniform(ops.shape(codes), self.seed_generator)
        masked = ops.cast(draws < share, "float32")
        noisy_codes = masked * UNKNOWN + (1.0 - masked) * codes
        return {"noisy_codes": noisy_codes, "weights": masked / share}

    def make_step(self, sampling, logits_of, draw, known=None):
        """Reveal masked bits on the way from t to s."""
        grid = sampling.time_steps
        shares = (grid - np.append(grid[1:], 0)) / grid
        shares = ops.convert_to_tensor(shares.astype("float32"))
        grid = ops.convert_to_tensor(grid.astype("int32"))

        def step(index, codes):
            time = ops.broadcast_to(ops.take(grid, index), (codes.shape[0],))
            bits = draw_bits(logits_of(codes, time), sampling.temperature, draw(2 * index))
            revealed = draw(2 * index + 1) < ops.take(shares, index)
            return ops.where(ops.logical_and(ops.equal(codes, UNKNOWN), revealed), bits, codes)

        return step
