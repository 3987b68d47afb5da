import keras
import numpy as np

from keras_bld.base.fitting.accumulation import OncePerBatch


def test_parts_of_a_batch_have_its_learning_rate():
    whole = keras.optimizers.schedules.CosineDecay(0.0, 90, warmup_target=1e-3, warmup_steps=10)
    schedule = OncePerBatch.from_config(OncePerBatch(whole, 3).get_config())
    for part, batch in ((0, 0), (14, 4), (15, 5), (200, 66)):
        np.testing.assert_allclose(schedule(part), whole(batch))
