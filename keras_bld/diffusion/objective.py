"""The training objective: BCE on the target plus a little of the exact variational bound."""

import math

from keras import ops

from keras_bld.diffusion.targets import find_target

NATS_PER_BIT = math.log(2.0)


def bce_with_logits(targets, logits):
    """Binary cross-entropy in nats, elementwise, stable for large logits."""
    return ops.softplus(logits) - targets * logits


def diffusion_losses(
    logits,
    codes,
    noisy_codes,
    time_steps,
    transition,
    target="residual",
    posterior="exact",
    channel=None,
):
    """BCE (Eq. 12) and variational bound (Eq. 7) of each sample at its time step.

    Args:
        logits: the denoiser's output for `target`, shape (batch, height, width, channels).
        codes: z^0 in {0, 1}, same shape.
        noisy_codes: z^t in {0, 1}, same shape.
        time_steps: t in 1 ... T, shape (batch,); of a longer step t -> s, s + 1.
        transition: shape (batch, 4), rows of `transition_tables` for t -> t - 1, or t -> s.
        target: a name of `TARGETS`. Where it predicts z^{t-1}, BCE is 0.
        posterior: which posterior turns a prediction of z^0 into one of z^{t-1}.
        channel: `BernoulliNoiseSchedule.channel_log_odds` of the time steps, shape (batch,); None
            for a target that does not look at it.

    Returns:
        Dictionary of float32 tensors of shape (batch,), means over the bits of a code:
        `bce` and `vlb` in nats (`vlb` is KL(q(z^{t-1} | z^t, z^0) || p(z^{t-1} | z^t)) for
        t > 1 and -log p(z^0 | z^1) at t = 1), `accuracy` the share of bits predicted right.
    """
    codes, noisy_codes = ops.cast(codes, "float32"), ops.cast(noisy_codes, "float32")
    different = ops.abs(codes - noisy_codes)
    if channel is not None:
        channel = channel[:, None, None, None]
    row = find_target(target)
    logits = row.to_flip_logits(ops.cast(logits, "float32"), noisy_codes, channel)
    columns = ops.split(transition[:, None, None, :], 4, axis=-1)  # 4 x (batch, 1, 1, 1)
    flip_if_same, flip_if_different = columns[2], columns[3]
    true_flip = flip_if_same + (flip_if_different - flip_if_same) * different
    bce = bce_with_logits(different, logits)
    if row.predicts_code:
        model_flip = row.reverse_flip(ops.sigmoid(logits), columns, posterior)
        cross_entropy = _cross_entropy(true_flip, model_flip)
    else:  # the logits are those of the flip itself: stable where it is nearly sure
        cross_entropy = bce_with_logits(true_flip, logits)
    kl = cross_entropy - _cross_entropy(true_flip, true_flip)
    first = ops.cast(ops.equal(time_steps, 1), "float32")[:, None, None, None]
    vlb = first * bce + (1.0 - first) * kl
    correct = ops.cast(ops.equal(logits > 0.0, different > 0.5), "float32")
    if not row.predicts_code:
        bce = ops.zeros_like(bce)
    axes = (1, 2, 3)
    return {
        "bce": ops.mean(bce, axis=axes),
        "vlb": ops.mean(vlb, axis=axes),
        "accuracy": ops.mean(correct, axis=axes),
    }


def _cross_entropy(p, q):
    # q can be 0 or 1 only where p is (at t = 1, whose term is replaced): the bound keeps the
    # logarithm finite there, and its gradient out of the sum.
    q = ops.clip(q, 1e-12, 1.0)
    return -p * ops.log(q) - (1.0 - p) * ops.log(ops.maximum(1.0 - q, 1e-12))
