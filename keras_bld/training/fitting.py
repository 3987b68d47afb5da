"""The optimizer and the fit of a stage."""

import pathlib

import keras
from keras import ops

from keras_bld.base import checks
from keras_bld.base.resuming import fit_resumably


@keras.saving.register_keras_serializable("keras_bld")
class OncePerBatch(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule by whole batches, of an optimizer that counts their parts.

    Args:
        schedule: a schedule of Keras.
        num_parts: of a batch.
    """

    def __init__(self, schedule, num_parts):
        super().__init__()
        self.schedule, self.num_parts = schedule, num_parts

    def __call__(self, step):
        return self.schedule(ops.floor_divide(step, self.num_parts))

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "num_parts": self.num_parts}

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["num_parts"])


@keras.saving.register_keras_serializable("keras_bld")
class AccumulatingAdam(keras.optimizers.Adam):
    """Adam whose averages of weights change where the weights do: once a batch, not each part.

    (Keras 3.15 averages after each part of a batch, which shortens the average's memory.)
    """

    def _update_model_variables_moving_average(self, trainable_variables):
        is_update = ops.equal((self._iterations + 1) % self.gradient_accumulation_steps, 0)
        averages = self._model_variables_moving_average
        before = [ops.copy(average) for average in averages]
        super()._update_model_variables_moving_average(trainable_variables)
        for average, old in zip(averages, before, strict=True):
            average.assign(ops.where(is_update, average, old))


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
    """`fit_resumably` (base/resuming.py) of a stage, with TensorBoard's logs in `folder`/logs.

    Raises:
        ValueError: steps that do not fill epochs, and all that `fit_resumably` raises.
    """
    checks.check_steps("num_steps", num_steps, steps_per_epoch)
    logs = keras.callbacks.TensorBoard(pathlib.Path(folder) / "logs", write_graph=False)
    callbacks = [logs, *callbacks]
    return fit_resumably(
        model, batches, folder, num_steps, steps_per_epoch, callbacks=callbacks, **options
    )
