"""Sampler: Algorithm 2, from coin flips to a code: the loop around the reverse step."""

from keras import ops

from keras_bld.diffusion.posterior import step_table
from keras_bld.diffusion.reverse_step import combine_guidance, reverse_step, shown_codes


def reverse_chain(
    predict_flip,
    draw,
    schedule,
    time_steps,
    target="residual",
    posterior="exact",
    final="threshold",
    known=None,
    known_bits="clean",
    **corrections,
):
    """Build the steps of the reverse chain z^T -> z^0 along a grid of time steps.

    A function of a prediction and of explicit noise alone, so that a stub can test it.

    Args:
        predict_flip: callable (codes, time_steps) -> float32 flip probabilities, see
            `reverse_step`; time_steps has shape (batch,).
        draw: callable number -> uniforms in [0, 1) of the codes' shape; number i + 1 draws the
            state after step i (number 0 draws z^T).
        schedule: a `BernoulliNoiseSchedule`, or its `FixedLevels`.
        time_steps: falling integers; the last step goes from the last of them to z^0.
        target, posterior, known: see `reverse_step`.
        final: "threshold" (the published code: P(z^0 = 1) > 0.5) or "sample" (Algorithm 2).
        known_bits: whether `predict_flip` sees the known bits "clean" or "noised".
        **corrections: `kappa`, `corrector_steps` and `corrector_share`, see `step_table`.

    Returns:
        Callable (index, codes) -> codes, for each row of the `step_table`.
    """
    table = step_table(schedule.k, time_steps, **corrections)
    tables = ops.convert_to_tensor(table.transitions)
    grid_tensor = ops.convert_to_tensor(table.time_steps)
    last = len(table) - 1

    def step(index, codes):
        time = ops.take(grid_tensor, index)
        transition = ops.take(tables, index, axis=0)
        coefficients = [transition[column] for column in range(table.transitions.shape[1])]
        shown = shown_codes(codes, known, known_bits)
        flip = predict_flip(shown, ops.broadcast_to(time, (ops.shape(codes)[0],)))
        noise = draw(index + 1)
        if final == "threshold":
            noise = ops.where(ops.equal(index, last), 0.5, noise)
        return reverse_step(codes, flip, coefficients, noise, target, posterior, known)

    return step


def run_chain(step, start, num_steps, return_trajectory=False):
    """Run steps as one compiled loop.

    Args:
        step: callable (index, codes) -> codes, index 0 ... num_steps - 1.
        start: the first state.
        num_steps: int.
        return_trajectory: also return all states.

    Returns:
        The last state; with `return_trajectory` all of them, (num_steps + 1, *start.shape).
    """
    if not return_trajectory:
        return ops.fori_loop(0, num_steps, step, start)

    def scan_step(codes, index):
        codes = step(index, codes)
        return codes, codes

    _, states = ops.scan(scan_step, start, ops.arange(num_steps, dtype="int32"))
    return ops.concatenate([start[None], states], axis=0)


def guided_logits(denoiser, guidance_scale, condition, condition_present=None):
    """Build a callable (codes, time_steps) -> logits with classifier-free guidance.

    One call on a doubled batch. Where w is 0 the doubled half is skipped, inside the graph, so
    that a changed w never retraces.

    Args:
        denoiser: callable (codes, time_steps, condition, condition_present) -> logits.
        guidance_scale: w, float32 (may be traced): a scalar, or one for each sample that
            broadcasts against the logits.
        condition: labels or text embeddings, leading axis batch; None for no condition.
        condition_present: optional booleans (batch,); False leaves the condition of a sample out.
    """

    def logits_of(codes, time_steps):
        if condition is None:
            return denoiser(codes, time_steps, None, None)

        def guided():
            given = ops.ones_like(time_steps, "bool")
            if condition_present is not None:
                given = condition_present
            present = ops.concatenate([given, ops.zeros_like(given)])
            both = denoiser(_twice(codes), _twice(time_steps), _twice(condition), present)
            return combine_guidance(*ops.split(both, 2, axis=0), guidance_scale)

        def plain():
            return denoiser(codes, time_steps, condition, condition_present)

        return ops.cond(ops.any(guidance_scale > 0.0), guided, plain)

    return logits_of


def _twice(tensor):
    return ops.concatenate([tensor, tensor], axis=0)
