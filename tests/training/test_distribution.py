import collections
import csv
import socket

import keras
import numpy as np
import pytest
import soak
import spread_recipe
import spread_run
from small_models import small_autoencoder, small_diffusion

from keras_bld.autoencoder import PatchCritic
from keras_bld.training import distribution
from keras_bld.training.distribution import Distribution, layout_map, open_distribution

BACKEND = keras.backend.backend()
_OTHERS = {"jax": "mirrored", "tensorflow": "data_parallel", "torch": "data_parallel"}


def test_a_mode_of_another_backend_is_refused():
    with pytest.raises(ValueError, match="Fix: set KERAS_BACKEND=") as error:
        open_distribution(_OTHERS[BACKEND])
    assert f"with the {BACKEND} backend" in str(error.value)
    expected = "no distribution for torch" if BACKEND == "torch" else "or pass distribution="
    assert expected in str(error.value)


@pytest.mark.on_tensorflow
def test_what_is_missing_or_wrong_is_said(monkeypatch, capsys):
    with pytest.raises(ValueError, match="one of .*'multi_worker'"):
        open_distribution("many")
    with pytest.raises(ValueError, match="'multi_worker' without TF_CONFIG"):
        open_distribution("multi_worker")
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(ValueError, match='TF_CONFIG.*"cluster"'):
        open_distribution("multi_worker")
    assert open_distribution("none").describe() is None
    assert "set up for several processes" in capsys.readouterr().out


@pytest.mark.once
def test_a_batch_is_divided_evenly():
    four = Distribution("data_parallel", "abcd", 4)
    four.check_batch("batch_size", 24, parts_per_batch=3)
    with pytest.raises(
        ValueError, match="10 for 4 devices; expected a multiple of 4.*batch_size=12"
    ):
        four.check_batch("batch_size", 10)
    with pytest.raises(ValueError, match="gradient_accumulation_steps"):
        Distribution("mirrored", "ab", 2).check_batch("batch_size", 8, parts_per_batch=2)


@pytest.mark.once
@pytest.mark.parametrize("parts", [1, 2])
def test_processes_read_each_row_of_each_part_once(parts, monkeypatch):
    monkeypatch.setattr(distribution, "backend_name", lambda: "jax")
    processes = [Distribution("data_parallel", "abcd", 4, index, 2) for index in range(2)]
    rows = [each.own_rows(8, parts).reshape(parts, -1) for each in processes]
    for part in range(parts):
        together = np.concatenate([each[part] for each in rows])
        np.testing.assert_array_equal(together, np.arange(8).reshape(parts, -1)[part])
    assert Distribution().own_rows(8) is None


@pytest.mark.once
def test_validation_is_divided_as_batches_are(monkeypatch):
    monkeypatch.setattr(distribution, "backend_name", lambda: "jax")
    x, y = np.arange(11), np.arange(11) * 10
    one = Distribution().validation(x, 4)
    assert one["validation_batch_size"] == 4 and len(one["validation_data"]) == 11
    found = [Distribution("data_parallel", "ab", 2, i, 2).validation((x, y), 4) for i in range(2)]
    assert [each["validation_batch_size"] for each in found] == [2, 2]
    assert found[0]["validation_data"][0].tolist() == [0, 1, 4, 5]
    assert found[1]["validation_data"][0].tolist() == [2, 3, 6, 7]
    assert found[1]["validation_data"][1].tolist() == [20, 30, 60, 70]
    assert Distribution("data_parallel", "ab" * 8, 16).validation(x) == {}


@pytest.mark.once
def test_weights_have_paths_of_their_own_and_layouts():
    critic = PatchCritic(base_width=8, num_layers=1)
    autoencoder = small_autoencoder((16, 16, 3), attention_resolutions=(8,), critic=critic)
    layouts = layout_map(None)
    for model in (autoencoder, small_diffusion(text_width=8, text_conditioning="cross_attention")):
        paths = collections.Counter(variable.path for variable in model.variables)
        assert max(paths.values()) == 1
    split = {
        variable.path.split("/", 1)[1]: layouts[variable.path].axes
        for variable in model.variables
        if layouts[variable.path] is not None
    }
    assert split["block_0/attention/query_key_value/kernel"] == (None, "model")
    assert split["block_0/attention/projection/kernel"] == ("model", None)
    assert split["block_0/cross_attention/query/kernel"] == (None, "model")
    assert split["block_0/cross_attention/key_value/bias"] == ("model",)
    assert split["block_0/mlp_output/kernel"] == ("model", None)
    assert len(split) == 11
    whole = [each for each in autoencoder.trainable_variables if layouts[each.path] is None]
    assert all(len(each.shape) < 4 for each in whole)  # all convolutions are split


@pytest.mark.skipif(BACKEND != "jax", reason="ModelParallel is JAX's")
def test_weights_that_the_devices_cannot_divide_are_whole():
    class Variable:
        path, shape = "block_0/mlp_hidden/kernel", (8, 6)

    found = distribution.model_parallel()
    assert found.get_variable_layout(Variable).axes == (None, "model")
    found._device_mesh = keras.distribution.DeviceMesh.__new__(keras.distribution.DeviceMesh)
    found._device_mesh._shape, found._device_mesh._axis_names = (1, 4), ("batch", "model")
    assert found.get_variable_layout(Variable).axes == (None, None)
    with pytest.raises(ValueError, match="a divisor of the 1 devices"):
        distribution.model_parallel(num_groups=2)


# Programs of their own: how many devices there are is said before a backend is imported. --------

SPREAD = [
    ("jax", "data_parallel", 4, 1),
    ("jax", "model_parallel", 4, 1),
    ("tensorflow", "mirrored", 4, 1),
    ("jax", "data_parallel", 1, 2),
    ("jax", "model_parallel", 2, 2),
    ("tensorflow", "multi_worker", 1, 2),
]


def _ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _run(backend, folder, mode, devices=1, processes=1, **settings):
    ports = _ports(processes) if processes > 1 else ()
    _end(
        [
            spread_run.start(backend, folder, mode, devices, index, ports, **settings)
            for index in range(processes)
        ]
    )
    return _losses(folder)


def _end(programs, code=0):
    """What each of the programs has said, which ends with this code."""
    outputs = [program.communicate(timeout=900)[0] for program in programs]
    assert [program.returncode for program in programs] == [code] * len(programs), outputs
    return outputs


def _losses(folder):
    found = {}
    for stage in ("autoencoder", "diffusion"):
        with open(folder / stage / "history.csv") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    found.setdefault(f"{stage} {name}", []).append(float(value))
    return found


def _check_equal(found, expected):
    assert found.keys() == expected.keys() and len(found["diffusion loss"]) == spread_run.NUM_STEPS
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    """The losses on one device."""
    return _run(BACKEND, tmp_path_factory.mktemp("one"), "none")


@pytest.mark.slow
@pytest.mark.parametrize("backend, mode, devices, processes", SPREAD)
def test_losses_are_those_of_one_device(backend, mode, devices, processes, on_one_device, tmp_path):
    if backend != BACKEND:
        pytest.skip(f"of {backend}")
    _check_equal(_run(backend, tmp_path, mode, devices, processes), on_one_device)
    assert len(list((tmp_path / "diffusion" / "checkpoint").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="torch has no distribution")
def test_a_run_goes_on_on_another_number_of_devices(on_one_device, tmp_path):
    mode = "data_parallel" if BACKEND == "jax" else "mirrored"
    _run(BACKEND, tmp_path, mode, 4, num_steps=7)
    _run(BACKEND, tmp_path, "none", 1, num_steps=13)
    _check_equal(_run(BACKEND, tmp_path, mode, 2), on_one_device)


# Stops of two processes --------------------------------------------------------------------


MODE = "data_parallel" if BACKEND == "jax" else "multi_worker"


def _start_recipe(folder, step=0, stopped=0):
    """Two processes of a recipe, one of which gets SIGTERM at a step."""
    ports = _ports(2)
    options = ["--work-dir", folder, "--distribution", MODE]
    options += ["--checkpoint-minutes", "1e-6"] if step else []
    return [
        spread_run.start_program(
            [spread_recipe.PROGRAM, step if index == stopped else 0, *options],
            BACKEND, 1, index, ports,
        )
        for index in range(2)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="torch has no distribution")
def test_a_signal_to_one_of_two_processes_ends_both_and_they_go_on(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    _end(_start_recipe(whole))
    # They ask each other at steps 8 and 16: there checkpoints are due, and the signal is seen.
    for stage, step, stopped in (("autoencoder", 10, 1), ("diffusion", 4 + 10, 0)):
        for said in _end(_start_recipe(parts, step, stopped), code=143):
            assert f"goes on from step 16 of stage {stage}: python recipes/digits.py" in said
        names = [path.name for path in sorted((parts / stage / "checkpoint").iterdir())]
        assert [int(name.split(".")[0]) for name in names] == [8, 16]
    _end(_start_recipe(parts))
    for stage in ("autoencoder", "diffusion"):
        soak.compare(_values(whole, stage), _values(parts, stage), stage)
    for name, values in _losses(whole).items():  # TensorFlow's sums of metrics are rounded anew
        np.testing.assert_allclose(_losses(parts)[name], values, rtol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="torch has no distribution")
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_signal_before_training_does_not_wait_for_the_others(stopped, tmp_path):
    programs = _start_recipe(tmp_path, -1, stopped)
    try:
        said = [programs[index].communicate(timeout=50)[0] for index in (stopped, 1 - stopped)]
    finally:
        for program in programs:
            program.kill()
    assert programs[stopped].returncode == 143, said[0]
    line = "stopped by SIGTERM; the same command goes on from step 0 of stage autoencoder: python"
    assert said[0].count(line) == 1 and "Terminating process" not in said[0], said[0]
    assert programs[1 - stopped].returncode != 0, said[1]


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="torch has no distribution")
def test_processes_that_joined_still_get_sigterm():
    code = f"""
import signal
from keras_bld.training.distribution import open_distribution
got = []
signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
distribution = open_distribution("{MODE}")
signal.raise_signal(signal.SIGTERM)
assert got, "SIGTERM did nothing"
distribution.close()
"""
    ports = _ports(2)
    _end([spread_run.start_program(["-c", code], BACKEND, 1, each, ports) for each in range(2)])


def _values(folder, stage):
    """The bytes of each array of the last checkpoint, by its number.

    Paths count the layers that a program has made, those of a stage before, too.
    """
    found = soak.contents(folder, stage)
    return {name.split()[0]: value for name, value in found.items() if name[0].isdigit()}
