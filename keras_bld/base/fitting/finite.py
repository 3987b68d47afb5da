"""Finite or nothing: a loss or a weight that is not finite stops training before it is saved."""

import math

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks

_ADVICE = (
    "look at the data: of a dataset only the first batch is checked, and later ones may hold NaN, "
    "values outside [0, 1] or labels out of range; else lower the learning rate, lengthen its "
    "warm-up, set `global_clipnorm` of the optimizer, or leave float16. Nothing was saved after "
    "the epoch before"
)

# Below it a gradient of the loss itself overflows float16.
_SMALLEST_LOSS_SCALE = 1.0


def first_not_finite(weights):
    """Path of the first weight that holds NaN or infinity; None where none does.

    Args:
        weights: Keras variables.
    """
    for weight in weights:
        if checks.is_floating(weight) and not _is_finite(ops.convert_to_numpy(weight)):
            return weight.path
    return None


def check_logs(logs, where, explain=None):
    """Raise ValueError where the loss of a step is not finite.

    Args:
        logs: dictionary of the loss and of its terms, as Keras hands it to callbacks.
        where: the step, in words.
        explain: None, or a callable (names of what is not finite) -> what the cause is, or None.
    """
    names = [name for name, value in logs.items() if _is_number(value) and not math.isfinite(value)]
    if "loss" not in names:
        return
    terms = ", ".join(name for name in names if name != "loss")
    cause = explain(names) if explain is not None else None
    raise checks.error(
        "loss",
        f"{logs['loss']} at {where}; " + (f"not finite: {terms}" if terms else "its terms are"
        " finite"),
        "a finite loss",
        cause or _ADVICE,
    )  # fmt: skip


class FiniteOrNothing(keras.callbacks.Callback):
    """Ends training at the first loss or weight that is not finite, before anything is saved.

    To be the first callback: those behind it replace checkpoints and write the history. `fit` of
    the models of this library adds it. The loss of each step is there already, Keras reads it for
    its callbacks; weights and the optimizer's state are looked at once in an epoch.

    Args:
        first_step: steps of the first epoch that an earlier `fit` has taken, for messages.
    """

    async_safe = True  # otherwise Keras would wait for each step where no other callback asks it to

    def __init__(self, first_step=0):
        super().__init__()
        self._epoch = 0
        self._first_step = first_step
        self._explain = None

    def set_model(self, model):
        """Take the model, and what it has to say of such a loss."""
        super().set_model(model)
        # Now: on JAX to ask for `self.model` later, beside the training, is to disturb it.
        self._explain = getattr(model, "explain_not_finite", None)

    def on_epoch_begin(self, epoch, logs=None):
        """Remember which one."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Look at the mean loss of the epoch so far: one that is not finite stays in it."""
        step = self._first_step + batch + 1
        check_logs(logs or {}, f"step {step} of epoch {self._epoch + 1}", self._explain)

    def on_epoch_end(self, epoch, logs=None):
        """Look at all that a checkpoint would hold."""
        self._first_step = 0
        optimizer, where = self.model.optimizer, f"the end of epoch {epoch + 1}"
        weight = first_not_finite([*self.model.variables, *optimizer.variables])
        if weight is not None:
            raise _weights_error(weight, where)
        scale = getattr(optimizer, "dynamic_scale", None)
        scale = None if scale is None else float(ops.convert_to_numpy(scale))
        if scale is not None and scale < _SMALLEST_LOSS_SCALE:
            raise checks.error(
                "loss",
                f"gradients that are not finite, step after step, at {where}: the loss scale is "
                f"{scale:g}",
                "finite gradients; float16 may leave out a step now and then, which halves the "
                "loss scale",
                f"the loss was finite, its gradient was not: {_ADVICE}",
            )


def check_arrays(named, where):
    """Raise the same ValueError for a list of pairs (path, NumPy array)."""
    for path, array in named:
        if checks.is_floating(array) and not _is_finite(array):
            raise _weights_error(path, where)


def _weights_error(weight, where):
    return checks.error(
        "weights",
        f"NaN or infinity in `{weight}` at {where}",
        "finite weights",
        f"the loss was finite, its gradient was not: {_ADVICE}",
    )


def _is_number(value):
    return isinstance(value, (int, float))


def _is_finite(array):
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum shows NaN and infinity, and takes no memory; it may also overflow by itself.
        total = float(np.sum(array, dtype="float32"))
    return math.isfinite(total) or bool(np.isfinite(array.astype("float32", copy=False)).all())
