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
