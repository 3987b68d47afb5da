"""Algorithm 2: from coin flips to a code, with any number of steps, as one loop."""

import numpy as np
from keras import ops

from keras_bld.diffusion.objective import flip_logits
from keras_bld.diffusion.posterior import posterior_flip, transition_tables

FINALS = ("threshold", "sample")


def sample_chain(
    predict_flip,
    noise,
    schedule,
    batch_shape,
    num_steps=None,
    posterior="exact",
    final="threshold",
    direct=False,
    known=None,
    return_trajectory=False,
):
    """Run the reverse chain z^T -> z^0.

    A function of a prediction and of explicit noise alone, so that a stub can test it.

    Args:
        predict_flip: callable (codes, time_steps) -> float32 probabilities P(z^0 != z^t), or
            P(z^{t-1} != z^t) where `direct`; codes have shape `batch_shape`, time_steps (batch,).
        noise: callable step -> uniforms in [0, 1) of shape `batch_shape`; step 0 draws z^T, step i
            draws the state after the i-th prediction; bit = noise < probability.
        schedule: a `BernoulliNoiseSchedule`.
        batch_shape: (batch, height, width, channels), static.
        num_steps: steps S in 1 ... T; None takes all T. The grid is `schedule.sampling_steps(S)`.
        posterior: "exact" or "plug_in", see `posterior.py`.
        final: "threshold" (the published code: P(z^0 = 1) > 0.5) or "sample" (Algorithm 2).
        direct: the prediction is that of the target "previous"; needs S = T.
        known: optional pair (codes, mask) of float32 {0, 1} tensors. Where the mask is 1, z^0 is
            known: every z^s there is drawn from the true posterior q(z^s | z^t, z^0), so that
            the known bits carry just the noise of their step and end as given.
        return_trajectory: also return all states.

    Returns:
        z^0 of shape `batch_shape` (float32 {0, 1}), or, with `return_trajectory`, all states
        z^T ... z^0 of shape (num_steps + 1, *batch_shape).
    """
    grid = schedule.sampling_steps(num_steps)
    following = np.append(grid[1:], 0)
    tables = ops.convert_to_tensor(transition_tables(schedule.k, grid, following))
    grid_tensor = ops.convert_to_tensor(grid.astype("int32"))
    last = len(grid) - 1

    def step(index, codes):
        time = ops.take(grid_tensor, index)
        transition = ops.take(tables, index, axis=0)
        coefficients = [transition[column] for column in range(4)]
        flip = predict_flip(codes, ops.broadcast_to(time, (batch_shape[0],)))
        reverse_flip = flip if direct else posterior_flip(flip, coefficients, posterior)
        if known is not None:
            known_codes, mask = known
            different = ops.abs(known_codes - codes)
            true_flip = posterior_flip(different, coefficients, "exact")
            reverse_flip = mask * true_flip + (1.0 - mask) * reverse_flip
        probability = codes * (1.0 - reverse_flip) + (1.0 - codes) * reverse_flip
        bar = noise(index + 1)
        if final == "threshold":
            bar = ops.where(ops.equal(index, last), 0.5, bar)
        return ops.cast(bar < probability, "float32")

    start = ops.cast(noise(0) < 0.5, "float32")
    if not return_trajectory:
        return ops.fori_loop(0, last + 1, step, start)

    def scan_step(codes, index):
        codes = step(index, codes)
        return codes, codes

    _, states = ops.scan(scan_step, start, ops.arange(last + 1, dtype="int32"))
    return ops.concatenate([start[None], states], axis=0)


def guided_logits(denoiser, guidance_scale, condition):
    """Build a callable (codes, time_steps) -> logits with classifier-free guidance (appendix C).

    Logits (1 + w) l_c - w l_u from one call on a doubled batch. Where w is 0 the doubled half is
    skipped, inside the graph, so that a changed w never retraces.

    Args:
        denoiser: callable (codes, time_steps, condition, condition_present) -> logits.
        guidance_scale: w, a float32 scalar (may be traced).
        condition: labels or text embeddings, leading axis batch; None for no condition.
    """

    def logits_of(codes, time_steps):
        if condition is None:
            return denoiser(codes, time_steps, None, None)

        def guided():
            present = ops.arange(2 * codes.shape[0]) < codes.shape[0]
            both = denoiser(_twice(codes), _twice(time_steps), _twice(condition), present)
            conditional, unconditional = ops.split(both, 2, axis=0)
            return (1.0 + guidance_scale) * conditional - guidance_scale * unconditional

        def plain():
            return denoiser(codes, time_steps, condition, None)

        return ops.cond(guidance_scale > 0.0, guided, plain)

    return logits_of


def guided_flip_predictor(denoiser, target, schedule, temperature, guidance_scale, condition):
    """Build `predict_flip` for `sample_chain`: guided logits, divided by the temperature.

    Args:
        denoiser, guidance_scale, condition: as in `guided_logits`.
        target: what the logits mean, see `objective.py`.
        schedule: a `BernoulliNoiseSchedule`, for what z^t says by itself ("extrinsic").
        temperature: float32 scalar (may be traced).
    """
    logits_of = guided_logits(denoiser, guidance_scale, condition)

    def predict_flip(codes, time_steps):
        channel = schedule.channel_log_odds(time_steps)[:, None, None, None]
        logits = flip_logits(logits_of(codes, time_steps), codes, target, channel)
        return ops.sigmoid(logits / temperature)

    return predict_flip


def _twice(tensor):
    return ops.concatenate([tensor, tensor], axis=0)
