"""Targets: what a denoiser's logits mean, as a table.

Everything that depends on the target asks its row: the objective, the reverse step, calibration,
the options of recipes and commands. A new target is one more row, in this file or, by
`TARGETS["name"] = Target(...)`, in a program of your own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from keras_bld.base import checks
from keras_bld.diffusion.posterior import posterior_flip


@dataclass(frozen=True)
class Target:
    """A row of the table.

    Args:
        meaning: what the logits say, in a few words for messages.
        to_flip_logits: callable (logits, noisy_codes, channel) -> logits of a flip against z^t;
            `channel` is `BernoulliNoiseSchedule.channel_log_odds` of t, broadcastable.
        predicts_code: True where that flip is z^0 != z^t; False where it is z^{t-1} != z^t, which
            trains by the bound alone and can skip no step.
    """

    meaning: str
    to_flip_logits: Callable
    predicts_code: bool = True

    @property
    def can_skip_steps(self):
        """Whether a sampler may take fewer than T steps."""
        return self.predicts_code

    def reverse_flip(self, flip, transition, posterior):
        """P(z^s != z^t) from the predicted flip probability; see `posterior_flip`."""
        return posterior_flip(flip, transition, posterior) if self.predicts_code else flip

    def loss(self, bce, vlb, vlb_weight):
        """The loss of each sample from its two terms (Eq. 13), in nats per bit."""
        return bce + vlb_weight * vlb if self.predicts_code else vlb


def _flip_of_a_bit(logits, noisy_codes):
    """Log odds of a 1 -> of a flip: the same where z^t is 0, the opposite where it is 1."""
    return logits * (1.0 - 2.0 * noisy_codes)


TARGETS = {
    "residual": Target("z^t XOR z^0 (the paper's)", lambda logits, noisy_codes, channel: logits),
    "z0": Target("z^0", lambda logits, noisy_codes, channel: _flip_of_a_bit(logits, noisy_codes)),
    # What the bit's own z^t says is known exactly, because the noise is a binary symmetric channel
    # that flips with probability b_t: the two log odds add up (Bayes' rule, as in iterative
    # decoding: Hagenauer et al., 1996).
    "extrinsic": Target(
        "z^0 as the other bits, the time and the condition have it",
        lambda logits, noisy_codes, channel: _flip_of_a_bit(logits, noisy_codes) - channel,
    ),
    "previous": Target(
        "z^{t-1}",
        lambda logits, noisy_codes, channel: _flip_of_a_bit(logits, noisy_codes),
        predicts_code=False,
    ),
}


def find_target(name):
    """Return the row of a target.

    Raises:
        ValueError: an unknown name; the message lists the table.
    """
    checks.check_choice("target", name, tuple(TARGETS))
    return TARGETS[name]


def flip_logits(logits, noisy_codes, target, channel=None):
    """Turn logits of a target into float32 logits of a flip against z^t.

    Args:
        logits: (batch, height, width, channels).
        noisy_codes: z^t in {0, 1}, the same shape.
        target: a name of `TARGETS`.
        channel: `BernoulliNoiseSchedule.channel_log_odds` of t, broadcastable to the logits; None
            for a target that does not look at it.
    """
    from keras import ops  # the table is known without Keras

    return find_target(target).to_flip_logits(ops.cast(logits, "float32"), noisy_codes, channel)
