"""Fits of one model that go on where an interrupted run stopped, bit for bit."""

import concurrent.futures
import dataclasses
import pathlib
import sys
import time

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.backend import whole_array
from keras_bld.base.fitting.checkpoints import CheckpointPolicy, Checkpoints
from keras_bld.base.fitting.finite import FiniteOrNothing, check_arrays
from keras_bld.base.fitting.history import HISTORY_FILE, HistoryTable, write_history
from keras_bld.base.fitting.random_states import random_states, restore_random_states
from keras_bld.base.processes import agree_on, all_have, is_chief, num_processes
from keras_bld.base.runs import say
from keras_bld.base.stopping import Stopped, stops_wait

CHECKPOINT_FOLDER = "checkpoint"
STEPS_BETWEEN_TALKS = 8  # of several processes: each talk waits for the step before it


def finished_steps(folder):
    """Training steps behind the newest checkpoint of a `fit_resumably` in `folder`; 0 without."""
    return max(Checkpoints(pathlib.Path(folder) / CHECKPOINT_FOLDER).steps(), default=0)


def fit_resumably(
    model,
    batches,
    folder,
    num_steps,
    steps_per_epoch,
    policy=CheckpointPolicy(),  # noqa: B008, it is frozen
    parts_per_batch=1,
    callbacks=(),
    **options,
):
    """`model.fit` in epochs of `steps_per_epoch`, gone on with from the checkpoint in `folder`.

    A checkpoint holds all that the rest of the training depends on: weights, the optimizer with
    its averages, the states of all random generators, the metrics of the epoch, the history. What
    batches hold depends on their number. So a run that was killed ends as one that was not.

    Ctrl-C and SIGTERM end the step, write a checkpoint, and raise `Stopped`.

    Of several processes that train together the chief writes, and all read: `folder` is one that
    all of them see. They look every `STEPS_BETWEEN_TALKS` steps whether one of them was told to
    stop, or whether the chief's clock says that a checkpoint is due.

    Args:
        model: a compiled model.
        batches: callable start_batch -> endless dataset of training batches, whose content
            depends on the batch's number alone.
        folder: gets checkpoint/ and history.csv.
        num_steps: training steps in all.
        steps_per_epoch: steps in an epoch; the last one may have fewer.
        policy: `CheckpointPolicy`.
        parts_per_batch: calls of the train step that one training step takes, each with such a
            part of the batch (the optimizer's `gradient_accumulation_steps`).
        callbacks: more callbacks.
        **options: further arguments of `fit`, such as `validation_data`.

    Returns:
        The logs of the last epoch.

    Raises:
        ValueError: a loss or weight that is not finite, or no checkpoint that is whole.
        Stopped: see above.
    """
    folder = pathlib.Path(folder)
    steps_per_epoch = min(steps_per_epoch, num_steps)
    checkpoints = Checkpoints(
        folder / CHECKPOINT_FOLDER, policy.keep, policy.keep_every * steps_per_epoch
    )
    # Before its state is compared with a checkpoint's.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    state = TrainingState(model)
    step, rows, arrays, random_states = 0, [], None, None
    found = _newest(checkpoints, state.expected())
    if found is not None:
        step, arrays, position = found
        rows, random_states = _rows(position), position.get("random", {})
        say(f"resumed from step {step} in {checkpoints.folder}")
    if step >= num_steps:
        state.restore(arrays)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        if rows and is_chief():
            write_history(folder / HISTORY_FILE, rows)
    pace = _Pace(num_steps, steps_per_epoch, parts_per_batch)
    with stops_wait() as asked, _Writer(checkpoints) as writer:
        clock = _Clock(policy.minutes, asked)
        while step < num_steps:
            # An epoch that was begun is ended by itself, and so is a last one that is shorter;
            # `fit` takes all between.
            epoch, done = divmod(step, steps_per_epoch)
            until = max(epoch + 1, 0 if done else num_steps // steps_per_epoch)
            end = min(until * steps_per_epoch, num_steps)
            in_an_epoch = min(steps_per_epoch, end - epoch * steps_per_epoch) - done
            saving = _Saving(state, writer, rows, clock, pace, done)
            saving.arrays, saving.random_states = arrays, random_states
            model.fit(
                _in_parts(batches(step), parts_per_batch),
                initial_epoch=epoch,
                epochs=until,
                steps_per_epoch=in_an_epoch * parts_per_batch,
                shuffle=False,
                callbacks=[
                    FiniteOrNothing(first_step=done * parts_per_batch),  # before all that writes
                    HistoryTable(folder / HISTORY_FILE, rows, writes=is_chief()),
                    *callbacks,
                    # Before the averages take the weights' place at the end of `fit`.
                    saving,
                ],
                **{"verbose": _verbosity(), **options},
            )
            step = end
            arrays, random_states = saving.arrays, saving.random_states
    return {name: value for name, value in rows[-1].items() if name != "epoch"} if rows else {}


def _newest(checkpoints, expected):
    """The newest checkpoint; the chief looks first, who puts damaged ones aside."""
    found = checkpoints.newest(expected) if is_chief() else None
    if num_processes() > 1:
        agree_on(0)
        if not is_chief():
            found = checkpoints.newest(expected)
        step = 0 if found is None else found[0]
        if not all_have(step):
            raise checks.error(
                "work_dir",
                f"{checkpoints.folder}, whose last checkpoint for this process is of step {step}, "
                "for others of another",
                "one folder for all processes",
                "pass a work_dir on a file system that all machines share",
            )
    return found


def _verbosity():
    if not is_chief():
        return 0
    return 1 if sys.stdout.isatty() else 2


class TrainingState:
    """All values that the rest of a training depends on."""

    def __init__(self, model):
        self._model = model

    def expected(self):
        """(path, variable) of each."""
        model = self._model
        # `variables` has the random generators' states, which `weights` has not.
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        return [(variable.path, variable) for variable in variables]

    def snapshot(self):
        """(path, NumPy array) of each: copies, which training does not change."""
        return [(path, whole_array(variable)) for path, variable in self.expected()]

    def restore(self, arrays):
        """Assign the values of a snapshot."""
        for (_, variable), array in zip(self.expected(), arrays, strict=True):
            variable.assign(ops.convert_to_tensor(np.array(array)))


@dataclasses.dataclass(frozen=True)
class _Pace:
    """How many steps there are, in an epoch, and calls of the train step in one of them."""

    num_steps: int
    steps_per_epoch: int
    parts_per_batch: int


class _Clock:
    """When to save within an epoch, and when to stop: the same in all processes.

    Args:
        minutes: between checkpoints; 0 for none within an epoch.
        asked: list that gets the number of a signal.
    """

    def __init__(self, minutes, asked):
        self._seconds, self._asked = minutes * 60 or float("inf"), asked
        self.start()

    def start(self):
        """A checkpoint was written just now."""
        self._saved = time.monotonic()

    def look(self, done):
        """Whether a checkpoint is due, and the number of a signal or 0.

        Args:
            done: steps of this epoch, by this call of `fit`.
        """
        is_due = time.monotonic() - self._saved >= self._seconds
        asked = self._asked[0] if self._asked else 0
        if num_processes() == 1:
            return is_due, asked
        if done % STEPS_BETWEEN_TALKS:
            return False, 0
        asked, is_due = divmod(agree_on(2 * asked + (is_due and is_chief())), 2)
        return bool(is_due), asked


class _Saving(keras.callbacks.Callback):
    """Writes checkpoints at the ends of epochs, by the clock, and before a stop.

    What it does in an epoch it does at the beginning of a step, which Keras waits for.

    Args:
        state, writer, rows: what goes into a checkpoint, who writes it, the history's rows.
        clock, pace: `_Clock`, `_Pace`.
        done: steps of the first epoch before this call of `fit`.
    """

    async_safe = True

    def __init__(self, state, writer, rows, clock, pace, done):
        super().__init__()
        self._state, self._writer, self._rows = state, writer, rows
        self._clock, self._pace, self._done = clock, pace, done
        self._epoch, self._is_first = None, True
        # Of the last checkpoint; to begin with, of the one to go on from.
        self.arrays = self.random_states = None

    def on_epoch_begin(self, epoch, logs=None):
        """Put the state in place where `fit` begins.

        Now, and not before `fit`, which to build a model may call it, and so change the states of
        random generators, and which resets the metrics of the epoch.
        """
        if self._epoch is None and self.arrays is not None:
            self._state.restore(self.arrays)
            if not self._done:
                self.model.reset_metrics()
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Look whether it is time."""
        if self._is_first and self.random_states is not None:
            # Behind what `fit` draws to begin (torch's `DataLoader` a seed).
            restore_random_states(self.random_states)
        self._is_first = False
        done, part = divmod(batch, self._pace.parts_per_batch)
        if part:
            return
        self._writer.check()
        is_due, asked = self._clock.look(done)
        if done and (is_due or asked):
            self.model  # noqa: B018, on JAX this puts the values into the variables
            step = self._epoch * self._pace.steps_per_epoch + self._done + done
            self._save(step, f"step {step}")
        if asked:
            self._writer.wait()
            agree_on(0)  # each process says where it goes on: the chief's checkpoint is there
            raise Stopped(asked)

    def on_epoch_end(self, epoch, logs=None):
        """Save; where validation has averages in the weights' place, it is over."""
        self._save(min((epoch + 1) * self._pace.steps_per_epoch, self._pace.num_steps))

    def _save(self, step, where=None):
        named = self._state.snapshot()
        if where is not None:  # the end of an epoch was looked at
            check_arrays(named, where)
        self.arrays, self.random_states = [array for _, array in named], random_states()
        position = {"history": list(self._rows), "random": self.random_states}
        if is_chief():
            self._writer.write(step, named, position)
        self._clock.start()


class _Writer:
    """Writes one checkpoint at a time, beside the training."""

    def __init__(self, checkpoints):
        self._checkpoints = checkpoints
        self._executor = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._future = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._executor.shutdown()
        if kind is None:
            self.wait()

    def write(self, *arguments):
        self.wait()
        self._future = self._executor.submit(self._checkpoints.write, *arguments)

    def check(self):
        """Raise what went wrong with the last one, if it is over."""
        if self._future is not None and self._future.done():
            self.wait()

    def wait(self):
        """Return when the last one is on the disk."""
        if self._future is not None:
            self._future.result()


def _in_parts(batches, parts):
    """Each batch as `parts` batches of equal size, in its order."""
    if parts == 1:
        return batches
    return _parts_of(batches, parts)


def _parts_of(batches, parts):
    for batch in batches:
        size = len(keras.tree.flatten(batch)[0]) // parts
        for number in range(parts):
            rows = slice(number * size, (number + 1) * size)
            yield keras.tree.map_structure(lambda array, rows=rows: array[rows], batch)


def _rows(position):
    """The history of a checkpoint."""
    rows = position.get("history")
    return [dict(row) for row in rows] if isinstance(rows, list) else []
