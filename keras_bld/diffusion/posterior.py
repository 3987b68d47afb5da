"""The reverse step p(z^s | z^t), written for flips.

The chain treats 0 and 1 alike, so everything depends only on whether bits differ. With
f = P(z^0 != z^t), the flip probability that a network predicts (Sec. 4.1, "Predicting the
residual"), a reverse step from t to any s < t is r = P(z^s != z^t):

- "exact" (Eq. 8-9): r = f P(z^s != z^t | z^0 != z^t) + (1 - f) P(z^s != z^t | z^0 = z^t), which is
  affine in f with coefficients that depend on (t, s) alone.
- "plug_in": what the published code samples with. The predicted probability is put in the place
  of z^0 in q(z^s | z^0) and the product with q(z^t | z^s) is normalised once.

At s = 0 both are r = f.
"""

import numpy as np

from keras_bld.base.array_operations import operations_of

POSTERIORS = ("exact", "plug_in")


def transition_tables(k, time_steps, previous_steps):
    """Coefficients of the reverse steps t -> s, computed in float64.

    Args:
        k: signal levels k_0 ... k_T (`BernoulliNoiseSchedule.k`).
        time_steps, previous_steps: integer arrays of the same length n, 0 <= s < t <= T.

    Returns:
        float32 array of shape (n, 4), columns: keep = k_t / k_s, signal = k_s,
        flip_if_same = P(z^s != z^t | z^0 = z^t), flip_if_different = P(z^s != z^t | z^0 != z^t).
    """
    signal_t, signal_s = k[time_steps], k[previous_steps]
    keep = signal_t / signal_s
    # Bayes (Eq. 9): q(z^t | z^s) q(z^s | z^0) / q(z^t | z^0), each a probability to be the same
    # (1 + k) / 2 or to differ (1 - k) / 2.
    flip_if_same = (1 - keep) * (1 - signal_s) / (2 * (1 + signal_t))
    flip_if_different = (1 - keep) * (1 + signal_s) / (2 * (1 - signal_t))
    return np.stack([keep, signal_s, flip_if_same, flip_if_different], axis=-1).astype("float32")


def posterior_flip(flip, transition, posterior="exact"):
    """P(z^s != z^t) from f = P(z^0 != z^t).

    Args:
        flip: float32 tensor of flip probabilities in [0, 1].
        transition: the four coefficients of `transition_tables` (a sequence of scalars or of
            tensors that broadcast against `flip`).
        posterior: "exact" or "plug_in".

    Returns:
        float32 tensor, the shape of `flip`.
    """
    ops = operations_of(flip)
    keep, signal, flip_if_same, flip_if_different = transition
    if posterior == "exact":
        return flip_if_same + (flip_if_different - flip_if_same) * flip
    offset = (1.0 - signal) / 2.0
    differ = (1.0 - keep) * (signal * flip + offset)
    agree = (1.0 + keep) * (signal * (1.0 - flip) + offset)
    return ops.where(signal >= 1.0, flip, differ / (differ + agree))
