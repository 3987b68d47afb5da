import signal

import keras
import numpy as np
import pytest

from keras_bld.base.backend.trainer import RepairedTraining
from keras_bld.base.fitting.row_training import fit_on_rows
from keras_bld.base.stopping import Stopped

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Line(RepairedTraining, keras.Model):
    """One that draws in each step."""

    def __init__(self):
        super().__init__()
        self.drop, self.dense = keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(1)
        self.dense.build((None, 4))
        self.built = True

    def call(self, inputs, training=False):
        return self.dense(self.drop(inputs, training=training))


def line():
    keras.utils.set_random_seed(3)
    model = Line()
    model.compile(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9), loss="mse")
    return model


def train(model, work_dir=None, batch_of=lambda rows: (X[rows], Y[rows]), **settings):
    options = {"num_steps": 12, "batch_size": 8, "seed": 0, "verbose": 0}
    fit_on_rows(model, batch_of, 20, **options, work_dir=work_dir, settings=settings or {"x": X})
    return [np.array(weight) for weight in model.get_weights()]


def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    expected = train(line(), tmp_path / "whole")
    left = [7]

    def stop_at_the_eighth(rows):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGTERM)
        return X[rows], Y[rows]

    with pytest.raises(Stopped):
        train(line(), tmp_path / "stopped", stop_at_the_eighth)
    said = tmp_path / "stopped" / "checkpoint"
    assert any(said.iterdir())
    for one, other in zip(train(line(), tmp_path / "stopped"), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "stopped" / "loss_curves.png").is_file()
    # Once more, with nothing left to train.
    for one, other in zip(train(line(), tmp_path / "whole"), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_folder_changes_nothing_of_the_result(tmp_path):
    for one, other in zip(train(line()), train(line(), tmp_path), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.once
@pytest.mark.parametrize("has_folder", [False, True])
def test_a_loss_that_is_not_finite_ends_it(tmp_path, has_folder):
    with pytest.raises(ValueError, match="loss.*nan at step 1"):
        train(line(), tmp_path if has_folder else None, lambda rows: (X[rows] * np.nan, Y[rows]))


@pytest.mark.once
def test_a_folder_of_another_training_is_refused(tmp_path):
    train(line(), tmp_path, x=X, teacher=[X, Y], rate=0.1)
    train(line(), tmp_path, x=X.copy(), teacher=[X.copy(), Y.copy()], rate=0.1)
    for changed in ({"x": X + 1}, {"teacher": [X, Y + 1]}, {"rate": 0.2}):
        with pytest.raises(ValueError, match=rf"work_dir.*{next(iter(changed))}"):
            train(line(), tmp_path, **{"x": X, "teacher": [X, Y], "rate": 0.1, **changed})
