"""The reverse step of Algorithm 2, on tensors or on NumPy arrays (which need no Keras)."""

from keras_bld.base.array_operations import operations_of
from keras_bld.diffusion.posterior import posterior_flip
from keras_bld.diffusion.targets import find_target


def reverse_step(codes, flip, transition, noise, target="residual", posterior="exact", known=None):
    """Draw z^s given z^t: one step of Algorithm 2 (lines 4-6).

    Args:
        codes: z^t, float32 {0, 1}.
        flip: what the network predicts: P(z^0 != z^t), or P(z^{t-1} != z^t) for a target that
            predicts z^{t-1}.
        transition: the coefficients of t -> s, a row of a `StepTable`.
        noise: uniforms in [0, 1) of the shape of `codes`, or 0.5 to threshold; bit = noise <
            probability.
        target: a name of `TARGETS`.
        posterior: "exact" or "plug_in", see `posterior.py`.
        known: optional pair (codes, mask) of float32 {0, 1} tensors. Where the mask is 1, z^0 is
            known: every z^s there is drawn from the true posterior q(z^s | z^t, z^0), so that the
            known bits carry just the noise of their step and end as given.

    Returns:
        z^s, float32 {0, 1}.
    """
    ops = operations_of(flip)
    reverse_flip = find_target(target).reverse_flip(flip, transition, posterior)
    if known is not None:
        known_codes, mask = known
        true_flip = posterior_flip(ops.abs(known_codes - codes), transition, "exact")
        reverse_flip = mask * true_flip + (1.0 - mask) * reverse_flip
    return ops.cast(noise < probability_of_one(codes, reverse_flip), "float32")


def probability_of_one(codes, flip):
    """P(bit = 1) from the probability that it differs from `codes`."""
    return codes * (1.0 - flip) + (1.0 - codes) * flip


def shown_codes(codes, known=None, known_bits="clean"):
    """What the network sees of z^t: known bits as they are, or with the noise of their step.

    Args:
        codes: z^t.
        known: None, or the pair of `reverse_step`.
        known_bits: "clean" or "noised", see `Sampling`.
    """
    if known is None or known_bits == "noised":
        return codes
    known_codes, mask = known
    return mask * known_codes + (1.0 - mask) * codes


def combine_guidance(conditional, unconditional, guidance_scale):
    """Logits (1 + w) l_c - w l_u of classifier-free guidance (appendix C)."""
    return (1.0 + guidance_scale) * conditional - guidance_scale * unconditional


def flip_predictor(logits_of, target, schedule, temperature=1.0, tempering="logits"):
    """Build `predict_flip` for `reverse_chain`: sigmoid of the flip's tempered logits.

    Args:
        logits_of: callable (codes, time_steps) -> logits of the target.
        target: a name of `TARGETS`.
        schedule: a `BernoulliNoiseSchedule`, or its `FixedLevels`, for what z^t says by itself.
        temperature: float32 scalar (may be traced), or one for each sample that broadcasts
            against the logits.
        tempering: what the temperature divides, see `Sampling`. A target that predicts no z^0 has
            no part of its own: there it is always the whole logits.
    """
    row = find_target(target)
    spares_channel = tempering == "extrinsic" and row.predicts_code

    def predict_flip(codes, time_steps):
        channel = schedule.channel_log_odds(time_steps)[:, None, None, None]
        ops = operations_of(codes)
        logits = ops.cast(logits_of(codes, time_steps), "float32")
        # Log odds of a flip: the network's part, less what z^t says by itself.
        flip = row.to_flip_logits(logits, codes, channel)
        if spares_channel:
            return ops.sigmoid((flip + channel) / temperature - channel)
        return ops.sigmoid(flip / temperature)

    return predict_flip
