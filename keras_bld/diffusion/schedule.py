"""The Bernoulli noise schedule: how fast a code turns into coin flips (paper, Eq. 4-5)."""

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks, replicas
from keras_bld.base.plots import new_figure
from keras_bld.diffusion.learned_levels import MOST_STEPS as MOST_LEARNED_STEPS
from keras_bld.diffusion.learned_levels import LearnedLevels
from keras_bld.diffusion.posterior import transition_tables
from keras_bld.diffusion.signal_levels import (
    LEARNED,
    SCHEDULES,
    SIGNAL_LEVELS,
    FixedLevels,
    channel_log_odds,
)

_LARGEST_FINAL_SIGNAL = 0.01
_MOST_STEPS = 1_000_000  # for there are tables of T + 1 numbers


@keras.saving.register_keras_serializable("keras_bld")
class BernoulliNoiseSchedule(keras.layers.Layer):
    """Diffuses codes: q(z^t | z^0) = Bernoulli(k_t z^0 + b_t) with b_t = (1 - k_t) / 2.

    Time runs from t = 1 to T = `num_training_steps`; k_0 = 1 (the code itself) and k_T is near 0 (a
    fair coin for each bit). Any step from t to s < t has the closed form k_t / k_s, so that
    sampling may skip steps exactly.

    Source: Wang et al., "Binary Latent Diffusion" (CVPR 2023), Eq. 4-5 and appendix A.

    Args:
        num_training_steps: T, number of diffusion steps, in [1, 1000000]; of a learned schedule in
            [2, 1024].
        kind: "linear" (k_t = 1 - t / T), "cos" (k_t = cos(pi t / 2 T)^2), "sigmoid" (the published
            one: the falling sigmoid between 0 and 3 with temperature 0.8), or "learned": begins
            with `k` or `beta` or linear, and follows the bound while a model with it trains (see
            `LearnedLevels`). The others are ignored where `k` or `beta` is given.
        k: optional custom signal levels k_1 ... k_T, or k_0 ... k_T with k_0 = 1.
        beta: optional custom noise scales beta_1 ... beta_T; k_t is the product of 1 - beta_i.

    Attributes:
        k, b: float64 arrays of length T + 1, index 0 ... T; of a learned schedule, what they are
            now.
        beta: float64 array of length T + 1; beta[0] = 0, beta[t] = 1 - k_t / k_{t-1}.

    Call arguments:
        codes: z^0 in {0, 1}, shape (batch, height, width, channels).
        time_steps: integers in 1 ... T, shape (batch,).
        noise: optional uniforms in [0, 1) of the shape of `codes`; bit = noise < probability.
            Without it, noise comes from the layer's own generator (training).

    Output shape:
        z^t in {0, 1}, float32, the shape of `codes`.

    Raises:
        ValueError: unknown kind, wrong length, values that do not fall strictly from 1 to near 0.

    Example:

    >>> import keras_bld
    >>> schedule = keras_bld.BernoulliNoiseSchedule(4)
    >>> [float(k) for k in schedule.k]
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __init__(self, num_training_steps, kind="linear", k=None, beta=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_training_steps = checks.check_integer(
            "num_training_steps", num_training_steps, 1, _MOST_STEPS
        )
        checks.check_choice("kind", kind, SCHEDULES)
        if k is not None and beta is not None:
            raise checks.error("k", "both k and beta", "one of them", "leave one out")
        self.kind = kind
        self._custom_k = None if k is None else [float(value) for value in np.ravel(k)]
        self._custom_beta = None if beta is None else [float(value) for value in np.ravel(beta)]
        self._k = self._signal_levels()
        self.learned = None
        if kind == LEARNED:
            checks.check_integer("num_training_steps", num_training_steps, 2, MOST_LEARNED_STEPS)
            self._k = _check_signal(self._k.astype("float32").astype("float64"), "k")
            self.learned = LearnedLevels(self._k, name="learned")
        self.seed_generator = keras.random.SeedGenerator()
        self.built = True

    @property
    def k(self):
        """Signal levels k_0 ... k_T."""
        return self._k if self.learned is None else self.learned.array()

    @property
    def b(self):
        """(1 - k_t) / 2 of t = 0 ... T: how likely z^t differs from z^0 in a bit."""
        return (1.0 - self.k) / 2.0

    @property
    def beta(self):
        """Noise scales: beta_0 = 0, beta_t = 1 - k_t / k_{t-1}."""
        k = self.k
        return np.concatenate([[0.0], 1.0 - k[1:] / k[:-1]])

    @property
    def learns(self):
        """Whether training moves the levels."""
        return self.learned is not None and self.learned.trainable

    def _signal_levels(self):
        if self._custom_k is not None:
            return _check_signal(_with_start("k", self._custom_k, self.num_training_steps), "k")
        if self._custom_beta is not None:
            beta = np.asarray(self._custom_beta)
            if len(beta) != self.num_training_steps:
                raise checks.error(
                    "beta",
                    f"{len(beta)} values",
                    f"{self.num_training_steps} values beta_1 ... beta_T",
                    "pass one value for each of the num_training_steps",
                )
            return _check_signal(np.concatenate([[1.0], np.cumprod(1.0 - beta)]), "beta")
        share = np.arange(self.num_training_steps + 1) / self.num_training_steps  # t / T
        return SIGNAL_LEVELS["linear" if self.kind == LEARNED else self.kind](share)

    def call(self, codes, time_steps, noise=None):
        codes = ops.cast(codes, "float32")
        if noise is None:
            noise = replicas.uniform(ops.shape(codes), self.seed_generator)
        if self.learned is None:
            k, b = (ops.convert_to_tensor(values, "float32") for values in (self.k, self.b))
        else:
            k = self.learned.levels()
            b = (1.0 - k) / 2.0
        k, b = (ops.take(values, time_steps)[:, None, None, None] for values in (k, b))
        return ops.cast(noise < k * codes + b, "float32")

    def channel_log_odds(self, time_steps):
        """log((1 - b_t) / b_t): how sure z^t is of z^0 by itself, bit for bit.

        The noise is a binary symmetric channel that flips a bit with probability b_t, so the log
        odds of z^0 = 1 given its own z^t alone (and even odds before) are this, with the sign of
        2 z^t - 1. 0 where k_t = 0.

        Args:
            time_steps: integers in 1 ... T, any shape.

        Returns:
            float32 tensor of that shape, >= 0.
        """
        if self.learned is None:
            return FixedLevels(self.k).channel_log_odds(ops.convert_to_tensor(time_steps))
        return ops.take(channel_log_odds(self.learned.levels()), time_steps - 1)

    def transitions(self, time_steps, stride=1):
        """The coefficients of the steps t -> max(t - stride, 0), see `transition_tables`.

        Args:
            time_steps: integers in 1 ... T, (batch,).
            stride: int >= 1.

        Returns:
            float32 tensor (batch, 4).
        """
        steps = np.arange(1, self.num_training_steps + 1)
        k = self.k if self.learned is None else self.learned.levels()
        tables = transition_tables(k, steps, np.maximum(steps - stride, 0))
        return ops.take(ops.convert_to_tensor(tables), time_steps - 1, axis=0)

    def plot(self):
        """Plot how the signal k_t falls, and how likely a bit is flipped: b_t, up to 1 / 2.

        Returns:
            A `matplotlib.figure.Figure`: a notebook shows it, `.savefig("schedule.png")` writes
            it.

        Example:

        >>> figure = BernoulliNoiseSchedule(16, "cos").plot()
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['k: signal', 'b: P(flip)']
        """
        figure, axes = new_figure()
        time_steps = np.arange(self.num_training_steps + 1)
        axes.plot(time_steps, self.k, label="k: signal")
        axes.plot(time_steps, self.b, label="b: P(flip)")
        axes.set_xlabel("t")
        axes.set_title(f"noise schedule, {self._kind_in_words()}")
        axes.legend()
        return figure

    def _kind_in_words(self):
        if self.learned is not None:
            return LEARNED
        if self._custom_k is not None:
            return "custom k"
        return self.kind if self._custom_beta is None else "custom beta"

    def __repr__(self):
        kind = self._kind_in_words()
        return f"<{type(self).__name__} {self.name}: {kind}, T = {self.num_training_steps}>"

    def get_config(self):
        return {
            **super().get_config(),
            "num_training_steps": self.num_training_steps,
            "kind": self.kind,
            # What training made of it is where another begins.
            "k": self._custom_k if self.learned is None else self.k.tolist(),
            "beta": self._custom_beta if self.learned is None else None,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config`; presets of before called T `num_steps`."""
        config = dict(config)
        if "num_steps" in config:
            config["num_training_steps"] = config.pop("num_steps")
        return cls(**config)


def _with_start(argument, values, num_training_steps):
    if len(values) == num_training_steps:
        values = [1.0, *values]
    if len(values) != num_training_steps + 1 or values[0] != 1.0:
        raise checks.error(
            argument,
            f"{len(values)} values starting with {values[0] if values else None}",
            f"{num_training_steps} values k_1 ... k_T, or one more with k_0 = 1",
            "pass one value for each of the num_training_steps",
        )
    return np.asarray(values)


def _check_signal(k, argument):
    falls = np.isfinite(k).all() and (np.diff(k) < 0).all()
    if not falls or k[-1] < 0 or k[-1] > _LARGEST_FINAL_SIGNAL:
        raise checks.error(
            argument,
            f"signal levels k from {k[0]:.4g} to {k[-1]:.4g}"
            f" ({'falling' if falls else 'not strictly falling'})",
            f"k strictly falling from 1 to at most {_LARGEST_FINAL_SIGNAL}",
            "make every beta lie in (0, 1] and let the last k come near 0,"
            " so that z^T is close to fair coin flips",
        )
    return k
