"""The reverse step p(z^s | z^t), written for flips.

The chain treats 0 and 1 alike, so everything depends only on whether bits differ. With
f = P(z^0 != z^t), the flip probability that a network predicts (Sec. 4.1, "Predicting the
residual"), a reverse step from t to any s < t is r = P(z^s != z^t):

- "exact" (Eq. 8-9): r = f P(z^s != z^t | z^0 != z^t) + (1 - f) P(z^s != z^t | z^0 = z^t), which is
  affine in f with coefficients that depend on (t, s) alone.
- "plug_in": what the published code samples with. The predicted probability is put in the place
  of z^0 in q(z^s | z^0) and the product with q(z^t | z^s) is normalised once.

At s = 0 both are r = f.

Two steps more are affine in f, and so are rows of the same table:

- `kappa` below 1 forgets z^t in part: r = kappa r_exact + (1 - kappa) (k_s f + (1 - k_s) / 2), the
  second being z^s drawn anew from the predicted z^0 ("The Diffusion Duality, Chapter II:
  Psi-samplers", arXiv 2602.21185).
- A redraw stays at the noise level of s. Of a share of the bits z^s is drawn anew from what the
  other bits say, k_s g + (1 - k_s) / 2 with g = P(z^0 = 1 | the other bits of z^s): Gibbs sampling
  with the leave-one-out prediction (arXiv 2605.22765). Where f is what is believed with z^s_i
  itself, g is f with its odds divided by those of the channel.
"""

from dataclasses import dataclass

import numpy as np

from keras_bld.base.array_operations import operations_of

POSTERIORS = ("exact", "plug_in")


def transition_tables(k, time_steps, previous_steps, kappa=1.0):
    """Coefficients of the reverse steps t -> s, computed in float64.

    Args:
        k: signal levels k_0 ... k_T (`BernoulliNoiseSchedule.k`); or, where they are learned, a
            float32 tensor.
        time_steps, previous_steps: integer arrays of the same length n, 0 <= s < t <= T.
        kappa: in (0, 1]; below 1 the last two columns are those of a Psi-sampler.

    Returns:
        float32 array (or tensor) of shape (n, 4), columns: keep = k_t / k_s, signal = k_s,
        flip_if_same = P(z^s != z^t | z^0 = z^t), flip_if_different = P(z^s != z^t | z^0 != z^t).
    """
    ops = operations_of(k)
    signal_t, signal_s = ops.take(k, time_steps), ops.take(k, previous_steps)
    keep = signal_t / signal_s
    # Bayes (Eq. 9): q(z^t | z^s) q(z^s | z^0) / q(z^t | z^0), each a probability to be the same
    # (1 + k) / 2 or to differ (1 - k) / 2.
    flip_if_same = (1 - keep) * (1 - signal_s) / (2 * (1 + signal_t))
    flip_if_different = (1 - keep) * (1 + signal_s) / (2 * (1 - signal_t))
    if kappa < 1.0:
        anew = (1 - kappa) * (1 - signal_s) / 2
        flip_if_same = kappa * flip_if_same + anew
        flip_if_different = kappa * flip_if_different + anew + (1 - kappa) * signal_s
    columns = [keep, signal_s, flip_if_same, flip_if_different]
    return ops.cast(ops.stack(columns, axis=-1), "float32")


@dataclass(frozen=True, eq=False)
class StepTable:
    """The network's calls of a chain: reverse steps, and the redraws between them.

    Args:
        time_steps: at which the network is called, int32 (n,).
        transitions: float32 (n, 4), see `transition_tables`; where there are redraws (n, 5), the
            last being the factor on the odds of a flip that takes out what z^t_i says of its own
            bit: (1 + k_t) / (1 - k_t) for a redraw, 1 for a reverse step.
    """

    time_steps: np.ndarray
    transitions: np.ndarray

    def __len__(self):
        return len(self.time_steps)


def step_table(k, time_steps, kappa=1.0, corrector_steps=0, corrector_share=0.0):
    """The `StepTable` of a falling grid of time steps, whose last step ends at z^0.

    Args:
        k: signal levels k_0 ... k_T.
        time_steps: falling integers.
        kappa, corrector_steps, corrector_share: see `Sampling`.
    """
    grid = np.asarray(time_steps, "int32")
    steps = transition_tables(k, grid, np.append(grid[1:], 0), kappa)
    if not corrector_steps:
        return StepTable(grid, steps)
    repeats = 1 + corrector_steps
    # The redraws before each step but the first, at the noise level where it begins.
    signal = k[grid]
    flip_if_same = corrector_share * (1.0 - signal) / 2.0
    redraws = np.stack(
        [
            np.ones_like(signal),
            signal,
            flip_if_same,
            flip_if_same + corrector_share * signal,
            (1.0 + signal) / (1.0 - signal),
        ],
        axis=-1,
    )
    rows = np.repeat(redraws[:, None], repeats, axis=1)
    rows[:, -1] = np.concatenate([steps, np.ones((len(grid), 1))], axis=1)
    rows = rows.reshape(-1, 5)[corrector_steps:]
    return StepTable(np.repeat(grid, repeats)[corrector_steps:], rows.astype("float32"))


def posterior_flip(flip, transition, posterior="exact"):
    """P(z^s != z^t) from f = P(z^0 != z^t).

    Args:
        flip: float32 tensor of flip probabilities in [0, 1].
        transition: the four or five coefficients of a row of a `StepTable` (a sequence of scalars
            or of tensors that broadcast against `flip`).
        posterior: "exact" or "plug_in".

    Returns:
        float32 tensor, the shape of `flip`.
    """
    ops = operations_of(flip)
    keep, signal, flip_if_same, flip_if_different, *odds = transition
    if odds:
        flip = flip * odds[0] / (1.0 - flip + flip * odds[0])
    if posterior == "exact":
        return flip_if_same + (flip_if_different - flip_if_same) * flip
    offset = (1.0 - signal) / 2.0
    differ = (1.0 - keep) * (signal * flip + offset)
    agree = (1.0 + keep) * (signal * (1.0 - flip) + offset)
    return ops.where(signal >= 1.0, flip, differ / (differ + agree))
