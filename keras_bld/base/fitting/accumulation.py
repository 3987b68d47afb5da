"""Optimizers whose batches come in parts (gradient accumulation)."""

import keras
from keras import ops


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
            # JAX selects among arrays alone.
            average.assign(ops.where(is_update, ops.convert_to_tensor(average), old))
