"""Fits of one model that go on where an interrupted run stopped."""

import os
import pathlib
import re
import sys
import warnings

import keras

from keras_bld.base import checks
from keras_bld.base.files import writing_to
from keras_bld.base.finite import FiniteOrNothing, first_not_finite
from keras_bld.base.runs import say
from keras_bld.presets.weights_file import inspect_weights
from keras_bld.training.history import mend_history

_CHECKPOINT = "checkpoint.weights.h5"
_NUMBERED = re.compile(rf"(\d{{6,12}})\.{re.escape(_CHECKPOINT)}", re.ASCII)


def make_optimizer(learning_rate, warmup_steps, total_steps, decay, beta_2, ema_momentum):
    """Adam with a linear warm-up, then constant or a cosine down to 5 % of the peak.

    Args:
        learning_rate: the peak.
        warmup_steps: steps of the warm-up; cut to a tenth of a run that is shorter than ten.
        total_steps: steps of the run.
        decay: "constant" or "cosine".
        beta_2: Adam's second momentum.
        ema_momentum: momentum of the moving average of weights; 0 keeps none.
    """
    schedules = keras.optimizers.schedules
    warmup_steps = max(1, min(warmup_steps, total_steps // 10))
    if decay == "cosine":
        schedule = schedules.CosineDecay(
            0.0,
            max(1, total_steps - warmup_steps),
            alpha=0.05,
            warmup_target=learning_rate,
            warmup_steps=warmup_steps,
        )
    else:
        schedule = schedules.PolynomialDecay(0.0, warmup_steps, end_learning_rate=learning_rate)
    average = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    return keras.optimizers.Adam(schedule, beta_2=beta_2, **average)


def check_steps(argument, num_steps, steps_per_epoch):
    """Raise ValueError unless the steps of a run fill its epochs, or are fewer than one has."""
    if num_steps > steps_per_epoch and num_steps % steps_per_epoch:
        below = num_steps // steps_per_epoch * steps_per_epoch
        raise checks.error(
            argument,
            f"{num_steps}, with {steps_per_epoch} steps in an epoch",
            "a multiple of steps_per_epoch, or less",
            f"pass {below} or {below + steps_per_epoch}, or another steps_per_epoch",
        )


class ResumableCheckpoint(keras.callbacks.Callback):
    """Writes weights and optimizer state after each epoch, beside and then renamed.

    Args:
        folder: where the checkpoint lies.
    """

    def __init__(self, folder):
        super().__init__()
        self._folder = pathlib.Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        """Save; the number of the epoch is part of the file's name, so that both agree."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # Not `files.replacing`: what a killed run leaves is large, and the next run overwrites it.
        partial = self._folder / f"partial.{_CHECKPOINT}"
        with writing_to(self._folder):
            self.model.save_weights(partial)
        old = finished_epochs(self._folder)
        os.replace(partial, self._folder / f"{epoch + 1:06d}.{_CHECKPOINT}")
        if old and old != epoch + 1:
            (self._folder / f"{old:06d}.{_CHECKPOINT}").unlink()


def finished_epochs(folder):
    """Number of epochs that the newest checkpoint in `folder` holds; 0 without one."""
    names = [path.name for path in pathlib.Path(folder).glob(f"*.{_CHECKPOINT}")]
    return max((int(match[1]) for match in map(_NUMBERED.fullmatch, names) if match), default=0)


def load_checkpoint(model, path):
    """Give a compiled model, with a built optimizer, the state that a checkpoint holds.

    Raises:
        ValueError: a checkpoint that is damaged, of another model, or not finite.
    """

    def damaged(reason):
        return checks.error(
            "work_dir",
            f"`{path}`: {reason}",
            "the checkpoint as this run wrote it",
            f"delete the folder {path.parent} and run the same command again; this stage begins "
            "at its first step",
        )

    inspect_weights(path, damaged)
    with checks.as_error(damaged), warnings.catch_warnings():
        # Keras only warns where there is no state of the optimizer.
        warnings.filterwarnings("error", "Skipping variable loading")
        model.load_weights(path)
    weight = first_not_finite([*model.weights, *model.optimizer.variables])
    if weight is not None:
        raise damaged(f"NaN or infinity in `{weight}`")


def fit_resumably(model, batches, folder, num_steps, steps_per_epoch, validation_data=None):
    """`model.fit` in epochs of `steps_per_epoch`, resumed from the checkpoint in `folder`.

    Args:
        model: a compiled model.
        batches: callable start_batch -> endless dataset of training batches, whose content
            depends on the batch's number alone, so that a resumed run sees what is left.
        folder: gets checkpoint/, logs/ (TensorBoard) and history.csv.
        num_steps: training steps in all, a multiple of `steps_per_epoch` or less.
        steps_per_epoch: steps between two checkpoints.
        validation_data: arrays or a finite dataset, as for `fit`.

    Returns:
        The logs of the last epoch, or None where there was nothing left to do.

    Raises:
        ValueError: a loss or weight that is not finite; the checkpoint stays that of the last
            epoch in which all were.
    """
    check_steps("num_steps", num_steps, steps_per_epoch)
    folder = pathlib.Path(folder)
    checkpoint = folder / "checkpoint"
    steps_per_epoch = min(steps_per_epoch, num_steps)
    epochs = num_steps // steps_per_epoch
    done = finished_epochs(checkpoint)
    # Before `load_weights`, which fills the optimizer's variables, too.
    model.optimizer.build(model.trainable_variables)
    if done:
        load_checkpoint(model, checkpoint / f"{done:06d}.{_CHECKPOINT}")
        say(f"resumed from step {done * steps_per_epoch} in {checkpoint}")
    if done >= epochs:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "history.csv"
    if done and table.is_file():
        mend_history(table)
    history = model.fit(
        batches(done * steps_per_epoch),
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=validation_data,
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            FiniteOrNothing(),  # before all that writes
            # Before the averages take the weights' place at the end of `fit`.
            ResumableCheckpoint(checkpoint),
            keras.callbacks.CSVLogger(table, append=done > 0),
            keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
        ],
    )
    return {name: float(values[-1]) for name, values in history.history.items()}
