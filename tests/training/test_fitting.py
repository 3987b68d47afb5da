import csv
import shutil

import h5py
import keras
import numpy as np
import pytest

from keras_bld.training.fitting import (
    finished_epochs,
    fit_resumably,
    make_optimizer,
)
from keras_bld.training.history import read_history

# A `fit` that was cut short leaves Keras's CSVLogger open; its process would have ended here.
LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _model():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(make_optimizer(0.05, 2, 8, "constant", 0.999, 0.9), loss="mse")
    return model


def _batches(start):
    def endless():
        number = start
        while True:
            x = np.random.default_rng(number).normal(size=(8, 4)).astype("float32")
            yield x, x.sum(axis=1, keepdims=True)
            number += 1

    return endless()


class _Interruption(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@LEFT_OPEN
def test_an_interrupted_run_ends_like_one_in_a_piece(tmp_path, monkeypatch):
    whole = _model()
    fit_resumably(whole, _batches, tmp_path / "whole", 8, 2)

    first = _model()
    original = first.fit
    monkeypatch.setattr(
        first,
        "fit",
        lambda *args, callbacks, **options: original(
            *args, callbacks=[*callbacks, _Interruption()], **options
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        fit_resumably(first, _batches, tmp_path / "parts", 8, 2)
    assert finished_epochs(tmp_path / "parts" / "checkpoint") == 2

    second = _model()
    second.layers[0].kernel.assign(np.zeros((4, 1)))  # what it starts from does not matter
    fit_resumably(second, _batches, tmp_path / "parts", 8, 2)
    for expected, received in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)
    with open(tmp_path / "parts" / "history.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2", "3"]


def test_a_finished_run_gets_its_averaged_weights_without_training(tmp_path):
    model = _model()
    fit_resumably(model, _batches, tmp_path, 4, 2)
    again = _model()
    assert fit_resumably(again, _batches, tmp_path, 4, 2) is None
    for expected, received in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-6)


def test_only_the_newest_checkpoint_stays(tmp_path):
    fit_resumably(_model(), _batches, tmp_path, 6, 2)
    names = [path.name for path in (tmp_path / "checkpoint").iterdir()]
    assert names == ["000003.checkpoint.weights.h5"]


@pytest.mark.parametrize(("decay", "last"), [("constant", 1e-3), ("cosine", 5e-5)])
def test_learning_rate_warms_up_and_decays(decay, last):
    schedule = make_optimizer(1e-3, 10, 100, decay, 0.999, 0.0)._learning_rate
    rates = [float(keras.ops.convert_to_numpy(schedule(step))) for step in (0, 5, 10, 100)]
    np.testing.assert_allclose(rates, [0.0, 5e-4, 1e-3, last], rtol=1e-4, atol=1e-9)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run that was stopped after half of its epochs."""
    folder = tmp_path_factory.mktemp("begun")
    fit_resumably(_model(), _batches, folder, 4, 2)
    return folder


def _damage(path, fault):
    content = path.read_bytes()
    if fault in ("empty", "half", "text"):
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "text": b"x"}[fault])
        return
    with h5py.File(path, "r+") as file:
        if fault == "without optimizer":
            del file["optimizer"]
        else:
            name = "layers/dense/vars/0" if fault == "nan weight" else "optimizer/vars/2"
            file[name][...] = np.nan


@pytest.mark.parametrize(
    "fault", ["empty", "half", "text", "without optimizer", "nan weight", "nan optimizer"]
)
def test_a_damaged_checkpoint_is_named_and_what_to_do(fault, begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint" / "000002.checkpoint.weights.h5"
    _damage(path, fault)
    message = f"`{path}`: .*Fix: delete the folder {path.parent} and run the same command again"
    with pytest.raises(ValueError, match=message):
        fit_resumably(_model(), _batches, tmp_path / "run", 8, 2)


def test_a_row_of_the_history_that_was_cut_off_does_not_spoil_the_next(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    with open(tmp_path / "run" / "history.csv", "a") as file:
        file.write("2,0.")
    fit_resumably(_model(), _batches, tmp_path / "run", 8, 2)
    rows = read_history(tmp_path / "run" / "history.csv")
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]


def test_other_files_are_no_checkpoints(tmp_path):
    for name in ("partial", "1a", "²00000", "000002"):
        (tmp_path / f"{name}.checkpoint.weights.h5").touch()
    assert finished_epochs(tmp_path) == 2


@LEFT_OPEN
def test_what_is_not_finite_leaves_the_last_checkpoint(tmp_path):
    def breaks_at_step_5(start):
        for number, (x, y) in enumerate(_batches(start), start + 1):
            yield x, y * np.nan if number == 5 else y

    def left():
        return {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}

    fit_resumably(_model(), _batches, tmp_path, 4, 2)
    history, checkpoint = (tmp_path / "history.csv").read_text(), left()
    for _ in range(2):  # the same command again ends in the same way
        with pytest.raises(ValueError, match="`loss`: received nan at step 1 of epoch 3"):
            fit_resumably(_model(), breaks_at_step_5, tmp_path, 8, 2)
        assert left() == checkpoint and list(checkpoint) == ["000002.checkpoint.weights.h5"]
        assert (tmp_path / "history.csv").read_text() == history
