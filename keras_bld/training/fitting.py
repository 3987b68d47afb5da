"""The optimizer and the fit of a stage."""

import importlib.util
import pathlib

import keras

from keras_bld.base import checks
from keras_bld.base.fitting.accumulation import AccumulatingAdam, OncePerBatch
from keras_bld.base.fitting.resuming import fit_resumably
from keras_bld.base.processes import is_chief
from keras_bld.base.runs import say


def make_optimizer(
    learning_rate, warmup_steps, total_steps, decay, beta_2, ema_momentum, parts_per_batch=1
):
    """Adam with a linear warm-up, then constant or a cosine down to 5 % of the peak.

    Args:
        learning_rate: the peak.
        warmup_steps: steps of the warm-up; cut to a tenth of a run that is shorter than ten.
        total_steps: steps of the run.
        decay: "constant" or "cosine".
        beta_2: Adam's second momentum.
        ema_momentum: momentum of the moving average of weights; 0 keeps none.
        parts_per_batch: gradients are the mean over so many calls, each with a part of a batch.
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
    if parts_per_batch == 1:
        return keras.optimizers.Adam(schedule, beta_2=beta_2, **average)
    return AccumulatingAdam(
        OncePerBatch(schedule, parts_per_batch),
        beta_2=beta_2,
        gradient_accumulation_steps=parts_per_batch,
        **average,
    )


def fit_recipe(model, batches, folder, num_steps, steps_per_epoch, callbacks=(), **options):
    """`fit_resumably` of a stage, with TensorBoard's logs in `folder`/logs.

    Of several processes the chief writes them; Keras needs TensorFlow for it, on every backend.

    Raises:
        ValueError: steps that do not fill epochs, and all that `fit_resumably` raises.
    """
    checks.check_steps("num_steps", num_steps, steps_per_epoch)
    if is_chief():
        callbacks = [*_tensorboard(pathlib.Path(folder) / "logs"), *callbacks]
    return fit_resumably(
        model, batches, folder, num_steps, steps_per_epoch, callbacks=callbacks, **options
    )


def _tensorboard(folder):
    """The callback that writes TensorBoard's logs; none where Keras cannot."""
    for package in ("tensorflow", "tensorboard"):
        if importlib.util.find_spec(package) is None:
            say(f"no logs for TensorBoard: {package} is not installed")
            return []
    return [keras.callbacks.TensorBoard(folder, write_graph=False)]
