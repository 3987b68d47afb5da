"""Training of one part of a model on rows of arrays, resumable where it has a folder."""

import hashlib
import pathlib

import keras
import numpy as np
from keras import ops

from keras_bld.base.backend import own_buffers
from keras_bld.base.batching import shuffled_rows
from keras_bld.base.fitting.finite import FiniteOrNothing
from keras_bld.base.fitting.history import HISTORY_FILE, read_history
from keras_bld.base.fitting.resuming import fit_resumably
from keras_bld.base.plots import plot_history, save_figure
from keras_bld.base.run_lock import only_run_in
from keras_bld.base.runs import claim_folder

SETTINGS_FILE = "training.json"
CURVES_FILE = "loss_curves.png"
_STEPS_PER_EPOCH = 250  # where there is a folder; else all are one epoch


def averaging_adam(learning_rate, num_steps, ema_momentum, **options):
    """Adam whose learning rate falls as a cosine, with an average of the weights.

    Args:
        learning_rate: at the beginning.
        num_steps: training steps, at the end of which it is 0.
        ema_momentum: of the average.
        **options: of `keras.optimizers.Adam`.
    """
    return keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(learning_rate, num_steps),
        use_ema=True,
        ema_momentum=ema_momentum,
        **options,
    )


def fit_on_rows(
    model, batch_of, num_rows, *, num_steps, batch_size, seed, verbose, work_dir, settings
):
    """Train a compiled model on batches of rows, in an order that is drawn anew for each pass.

    Args:
        model: compiled, a `RepairedTraining`.
        batch_of: callable (row numbers) -> the batch, a tuple as Keras takes it.
        num_rows: how many rows there are.
        num_steps: training steps.
        batch_size: rows in a batch, at most; never more than there are.
        seed: of the order.
        verbose: as in `keras.Model.fit`.
        work_dir: None, or a folder for checkpoints, the history and its curves. The same call goes
            on there after an interruption, and ends bit for bit as without one.
        settings: dictionary of all that the result depends on; arrays, or lists of weights, count
            by what is in them. A folder of a training with others is refused.

    Raises:
        ValueError: a loss or weight that is not finite; such a folder, or one where another process
            trains.
        Stopped: Ctrl-C or SIGTERM in a training that has a folder, after a checkpoint.
    """
    random = np.random.default_rng(seed)
    rows = shuffled_rows(num_rows, num_steps, min(batch_size, num_rows), random)

    def batches(start):
        return (batch_of(each) for each in rows[start:])

    with model.errors_as_raised():
        if work_dir is None:
            model.fit(
                batches(0),
                steps_per_epoch=num_steps,
                shuffle=False,
                callbacks=[FiniteOrNothing()],
                verbose=verbose,
            )
        else:
            folder = pathlib.Path(work_dir)
            options = {} if verbose == "auto" else {"verbose": verbose}
            with only_run_in(folder):
                claim_folder(folder / SETTINGS_FILE, _plain(settings))
                fit_resumably(model, batches, folder, num_steps, _STEPS_PER_EPOCH, **options)
                _draw_curves(folder)
    own_buffers(model.trainable_variables)


def _draw_curves(folder):
    """Draw what a finished training left in its history, one panel for each loss."""
    rows = read_history(folder / HISTORY_FILE)
    names = [name for name in rows[0] if name != "epoch"]
    history = {name: [row[name] for row in rows] for name in names}
    save_figure(plot_history(history), folder / CURVES_FILE)


def _plain(settings):
    """The settings for a JSON file: arrays and lists of weights as their hashes."""
    return {name: _hash(value) if _has_arrays(value) else value for name, value in settings.items()}


def _has_arrays(value):
    first = value[0] if isinstance(value, list) and value else value
    return hasattr(first, "shape")


def _hash(value):
    digest = hashlib.sha256()
    for array in value if isinstance(value, list) else [value]:
        array = np.ascontiguousarray(ops.convert_to_numpy(array))
        digest.update(f"{array.dtype.name}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
