"""Calibration of the denoiser for each time step: are its flip probabilities right?"""

import numpy as np
from keras import ops

from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.diffusion.reverse_step import flip_predictor
from keras_bld.diffusion.sampler import guided_logits
from keras_bld.diffusion.targets import find_target
from keras_bld.metrics import calibration_curve

_MOST_STEPS = 16


def flip_calibration(model, codes, condition, seed, batch_size):
    """Expected calibration error of P(z^0 != z^t) by t, at temperature 1 and without guidance.

    Args:
        model: a `BinaryLatentDiffusion`; a target that predicts other flips gives None.
        codes: held-out codes {0, 1}, (num_images, h, w, c).
        condition: labels or text embeddings, one for each code; None for an unconditional model.
        seed: of the noise.
        batch_size: codes at a time.

    Returns:
        None, or a list of dictionaries for up to 16 time steps: `t`, `error`, `mean_probability`
        and `observed_frequency` (of ten bins, None where a bin is empty) and `counts`.
    """
    if not find_target(model.target).predicts_code:
        return None

    def flips(batch, time, first, key, *rest):
        time_steps = ops.broadcast_to(time, (batch.shape[0],))
        indices = first + ops.arange(batch.shape[0], dtype="int32")
        noise = bld_random.uniforms(key, indices, time, model.code_shape)
        noisy = model.schedule(batch, time_steps, noise)
        logits_of = guided_logits(model.denoiser, ops.zeros(()), rest[0] if rest else None)
        predict = flip_predictor(logits_of, model.target, model.schedule)
        return predict(noisy, time_steps), ops.abs(noisy - batch)

    compiled = compile_function(flips, lambda: model.denoiser.variables)
    grid = np.unique(np.linspace(1, model.num_training_steps, _MOST_STEPS).round().astype("int32"))
    curves = []
    for time in grid:
        probabilities, outcomes = [], []
        for first in range(0, len(codes), batch_size):
            # The last batch is filled up with its last code, so that one shape is compiled.
            rows = np.minimum(np.arange(first, first + batch_size), len(codes) - 1)
            count = min(batch_size, len(codes) - first)
            rest = [] if condition is None else [condition[rows]]
            predicted, flipped = compiled(codes[rows], time, np.int32(first), np.int32(seed), *rest)
            probabilities.append(ops.convert_to_numpy(predicted)[:count])
            outcomes.append(ops.convert_to_numpy(flipped)[:count])
        curve = calibration_curve(np.concatenate(probabilities), np.concatenate(outcomes))
        curves.append(
            {
                "t": int(time),
                "error": curve.expected_calibration_error,
                "mean_probability": _finite(curve.mean_probability),
                "observed_frequency": _finite(curve.observed_frequency),
                "counts": curve.counts.tolist(),
            }
        )
    return curves


def _finite(values):
    return [float(value) if np.isfinite(value) else None for value in values]
