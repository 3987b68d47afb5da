"""The kinds of noise schedules: signal levels k_0 ... k_T as functions of t / T, in one table."""

import numpy as np

from keras_bld.base.array_operations import operations_of


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
LEARNED = "learned"  # begins as the linear one
SCHEDULES = (*KINDS, LEARNED)


def channel_log_odds(k):
    """log((1 - b_t) / b_t) of t = 1 ... T, see `BernoulliNoiseSchedule.channel_log_odds`.

    Args:
        k: signal levels k_0 ... k_T, a float64 array or a float32 tensor.

    Returns:
        The same of length T.
    """
    ops = operations_of(k)
    b = (1.0 - k[1:]) / 2.0
    return ops.log1p(-b) - ops.log(b)


class FixedLevels:
    """The signal levels that a sampler is compiled with: constants, on tensors or on arrays.

    Args:
        k: signal levels k_0 ... k_T, float64.
    """

    def __init__(self, k):
        self.k = k
        self._odds = channel_log_odds(k).astype("float32")

    def channel_log_odds(self, time_steps):
        """See `BernoulliNoiseSchedule.channel_log_odds`."""
        ops = operations_of(time_steps)
        return ops.take(ops.convert_to_tensor(self._odds), time_steps - 1)
