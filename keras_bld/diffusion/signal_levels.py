"""The kinds of noise schedules: signal levels k_0 ... k_T as functions of t / T, in one table."""

import numpy as np


def _linear(share):
    return 1.0 - share


def _cos(share):
    return np.append(np.cos(share[:-1] * np.pi / 2) ** 2, 0.0)


def _sigmoid(share):
    fall = 1.0 / (1.0 + np.exp(-share * 3.0 / 0.8))
    return (fall[-1] - fall) / (fall[-1] - fall[0])


# Name -> function of t / T for t = 0 ... T.
SIGNAL_LEVELS = {"linear": _linear, "cos": _cos, "sigmoid": _sigmoid}
KINDS = tuple(SIGNAL_LEVELS)


def channel_log_odds(k):
    """log((1 - b_t) / b_t) of t = 1 ... T, see `BernoulliNoiseSchedule.channel_log_odds`.

    Args:
        k: signal levels k_0 ... k_T, float64.

    Returns:
        float64 array of length T.
    """
    b = (1.0 - k[1:]) / 2.0
    return np.log1p(-b) - np.log(b)
