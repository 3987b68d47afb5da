import csv
import errno
import itertools
import shutil
import signal
import zipfile

import keras
import numpy as np
import pytest
from small_models import random_codes, small_autoencoder, small_diffusion

from keras_bld.base.fitting.checkpoints import CheckpointPolicy
from keras_bld.base.fitting.resuming import finished_steps, fit_resumably
from keras_bld.base.stopping import Stopped
from keras_bld.training.fitting import make_optimizer

EACH_STEP = CheckpointPolicy(minutes=1e-9)


def optimizer(**options):
    return keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9, **options)


def line(seed=3):
    """A model with dropout, which draws in each step."""
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(optimizer(), loss="mse")
    return model


def rows(number):
    x = np.random.default_rng(number).normal(size=(8, 4)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def images(number):
    return np.random.default_rng(number).integers(0, 256, (4, 8, 8, 3), dtype="uint8")


def batches_of(make):
    """Callable start -> batches."""
    return lambda start: (make(number) for number in itertools.count(start))


class After(keras.callbacks.Callback):
    """Calls `action` after so many steps."""

    async_safe = True

    def __init__(self, num_steps, action):
        super().__init__()
        self.left, self.action = num_steps, action

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            self.action()


def kill():
    raise RuntimeError("killed")


def variables_of(model):
    return [*model.variables, *model.optimizer.variables]


def everything(model):
    """All values of a model and of its optimizer, but not of metrics."""
    return [np.array(keras.ops.convert_to_numpy(each)) for each in variables_of(model)]


def assert_same(values, folder, expected, expected_folder):
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert (folder / "history.csv").read_bytes() == (expected_folder / "history.csv").read_bytes()


def assert_same_run(model, folder, expected, expected_folder):
    assert_same(everything(model), folder, everything(expected), expected_folder)


def autoencoder():
    return small_autoencoder(critic=True, critic_start_step=2, base_width=4), images


def diffusion():
    return small_diffusion(), lambda number: random_codes(4, number, (4, 4, 4))


# (Where a critic's step takes long to compile, the slow tests have it.)
compiled = [] if keras.backend.backend() == "torch" else [pytest.mark.slow]


@pytest.mark.parametrize("make", [pytest.param(autoencoder, marks=compiled), diffusion])
def test_a_run_killed_in_epochs_and_between_ends_like_the_one_that_was_not(make, tmp_path):
    """One model, so that it is compiled once; between the runs all its values are others."""
    model, batch = make()
    model.compile(optimizer())
    model.build_optimizer()
    at_first = everything(model)
    options = {"num_steps": 6, "steps_per_epoch": 3, "validation_data": batch(100)}

    def go_on(folder, values, **more):
        for variable, value in zip(variables_of(model), values, strict=True):
            variable.assign(value)
        return fit_resumably(model, batches_of(batch), folder, **options, **more)

    logs = go_on(tmp_path / "whole", at_first)
    expected = everything(model)
    others = [np.zeros_like(value) for value in at_first]
    begins = at_first
    for num_steps in (2, 3, 2):  # in the first epoch, behind its end, in the second
        with pytest.raises(RuntimeError, match="killed"):
            killed = [After(num_steps, kill)]
            go_on(tmp_path / "parts", begins, policy=EACH_STEP, callbacks=killed)
        begins = at_first if finished_steps(tmp_path / "parts") == 0 else others
    assert finished_steps(tmp_path / "parts") == 4
    assert go_on(tmp_path / "parts", begins) == logs and logs["val_loss"] > 0
    assert_same(everything(model), tmp_path / "parts", expected, tmp_path / "whole")


def run(folder, num_steps=8, make=line, after=None, batches=None, **options):
    """Train, or go on with, a model in `folder`, with two steps an epoch."""
    model = make()
    callbacks = [] if after is None else [After(*after)]
    batches = batches or batches_of(rows)
    fit_resumably(model, batches, folder, num_steps, 2, callbacks=callbacks, **options)
    return model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(model, folder) of a run of eight steps that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return run(folder), folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run that has done four of its eight steps."""
    folder = tmp_path_factory.mktemp("begun")
    run(folder, 4)
    return folder


def test_a_finished_run_is_itself_without_training(whole):
    model, folder = whole
    (folder / "history.csv").write_text("epoch,loss\n0,0.")  # of a killed program
    again = run(folder, after=(0, kill))
    assert_same_run(again, folder, model, folder)
    with open(folder / "history.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("num_steps", [2, 3])
def test_a_signal_is_answered_after_the_step_with_a_checkpoint(num_steps, whole, tmp_path):
    number = signal.SIGTERM
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped:
        run(tmp_path, after=(num_steps, lambda: signal.raise_signal(number)))
    assert stopped.value.number == number and signal.getsignal(number) is before
    assert finished_steps(tmp_path) == num_steps
    assert_same_run(run(tmp_path), tmp_path, *whole)


def test_a_second_signal_ends_it_at_once(tmp_path):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, after=(1, twice))
    assert finished_steps(tmp_path) == 0


def test_a_damaged_checkpoint_is_passed_over_and_the_run_ends_the_same(
    begun, whole, tmp_path, capsys
):
    shutil.copytree(begun, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint" / "000000004.checkpoint.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    model = run(tmp_path / "run")
    printed = capsys.readouterr().out
    assert f"WARNING: {path} is damaged (Bad CRC-32" in printed and "resumed from step 2" in printed
    assert_same_run(model, tmp_path / "run", *whole)


def test_which_checkpoints_stay(tmp_path):
    run(tmp_path, policy=CheckpointPolicy(keep=1, keep_every=3, minutes=1e-9))
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == ["000000006.checkpoint.zip", "000000008.checkpoint.zip"]


def test_a_longer_run_goes_on(begun, whole, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    assert_same_run(run(tmp_path / "run"), tmp_path / "run", *whole)


def test_another_model_is_refused(begun):
    def other():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer(), loss="mse")
        return model

    with pytest.raises(ValueError, match="it holds .* arrays, this training has .*Fix: delete the"):
        run(begun, make=other)


def test_a_full_disk_ends_the_run_with_one_line_and_keeps_what_was_finished(
    begun, whole, tmp_path, monkeypatch
):
    shutil.copytree(begun, tmp_path / "run")
    monkeypatch.setattr(zipfile.ZipFile, "writestr", no_room)
    with pytest.raises(OSError, match="where nothing can be written .No space left on device"):
        run(tmp_path / "run")
    assert finished_steps(tmp_path / "run") == 4
    monkeypatch.undo()
    assert_same_run(run(tmp_path / "run"), tmp_path / "run", *whole)


def no_room(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_not_finite_leaves_the_last_checkpoint(begun, tmp_path):
    def breaks_at_step_6(start):
        for number in itertools.count(start):
            x, y = rows(number)
            yield x, y * np.nan if number == 5 else y

    shutil.copytree(begun, tmp_path / "run")
    history = (begun / "history.csv").read_bytes()
    for _ in range(2):  # the same command again ends in the same way
        with pytest.raises(ValueError, match="`loss`: received nan at step 2 of epoch 3"):
            run(tmp_path / "run", batches=breaks_at_step_6, policy=EACH_STEP)
        assert finished_steps(tmp_path / "run") == 5
        assert (tmp_path / "run" / "history.csv").read_bytes() == history


def test_parts_of_batches_train_as_whole_ones(tmp_path):
    def make(parts):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(make_optimizer(0.05, 2, 6, "cosine", 0.999, 0.9, parts), loss="mse")
        return model

    whole = run(tmp_path / "whole", 6, lambda: make(1))
    in_parts = {"make": lambda: make(4), "parts_per_batch": 4}
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "parts", 6, after=(11, kill), policy=EACH_STEP, **in_parts)
    assert finished_steps(tmp_path / "parts") == 2
    model = run(tmp_path / "parts", 6, **in_parts)
    for value, wanted in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=1e-6)
