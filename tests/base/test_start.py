"""What is imported when, and what TensorFlow says meanwhile."""

import logging
import os
import subprocess
import sys

import pytest
from harness import PROJECT_ROOT, run_in_new_process

from keras_bld.base import quiet, start
from keras_bld.base.module_imports import needs_keras

pytestmark = pytest.mark.once
LOG = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795715768.237896    5926 port.cc:153] oneDNN custom operations are on.",
    "E0000 00:00:1795715772.218816    5926 cuda_platform.cc:52] failed call to cuInit",
    "2025-09-17 14:44:05.157831: I external/local_xla/xla/tsl/cuda/cudart_stub.cc:32] Could not",
]
MODULES = [
    ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PROJECT_ROOT.glob("keras_bld/**/*.py"))
]
# Of the peer in plain PyTorch each module imports torch.
WITHOUT_KERAS = [
    name
    for name in MODULES
    if not needs_keras(name) and "torch_peer" not in name and "__main__" not in name
]
SAID = ["UserWarning: a warning of Python", "I saw 12 images: 3", "E0000", "Illegal instruction"]


def test_what_needs_no_keras_imports_none():
    code = f"""
import importlib, sys
for name in {WITHOUT_KERAS}:
    importlib.import_module(name)
    assert "keras" not in sys.modules, name
from keras_bld.__main__ import COMMANDS, _function
for name in COMMANDS:
    _function(name)
    assert "keras" not in sys.modules, name
print("numpy" in sys.modules, "tensorflow" in sys.modules)
"""
    assert run_in_new_process(code).split() == ["True", "False"]


@pytest.mark.parametrize("first", ["keras_bld, keras", "keras, keras_bld"])
def test_an_import_of_tensorflow_behind_keras_says_nothing(first):
    """As on torch, where Keras imports it when it meets a generator.

    JAX, which Keras imports on every backend, sets a level of its own.
    """
    code = f"import {first}; keras_bld.BinaryAutoencoder; import tensorflow"
    environment = {**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": str(PROJECT_ROOT)}
    environment.pop(quiet.LOG_LEVEL, None)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stderr == "" and run.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["generate", "--help"],
        ["convert", "-h"],
        ["presets"],
        ["train", "grocery_64_text", "--help"],
        ["train", "ablations", "--help"],
    ],
)
def test_help_and_presets_answer_at_once(words):
    """Under a second of processor time, and without Keras."""
    code = f"""
import sys, time
from keras_bld.__main__ import main
try:
    main({words})
except SystemExit as ended:
    assert not ended.code
assert "keras" not in sys.modules
print(time.process_time())
"""
    assert float(run_in_new_process(code).split()[-1]) < 1.0


def test_a_class_knows_the_shipped_presets_by_itself():
    code = """
from keras_bld.diffusion import BinaryLatentDiffusion
print(BinaryLatentDiffusion.from_preset("bld_digits_16").code_shape)
"""
    assert run_in_new_process(code).strip() == "(4, 4, 16)"


def test_a_backend_that_is_not_there_is_an_error_each_time():
    code = """
import keras_bld
for _ in range(2):
    try:
        keras_bld.BinaryAutoencoder
    except Exception as error:
        print(type(error).__name__)
"""
    first, second = run_in_new_process(code, backend="nothing").split()
    assert first == second


def test_log_lines_are_left_out_and_nothing_else(capfd):
    with quiet.without_log_lines():
        for line in [*LOG, *SAID]:
            os.write(2, f"{line}\n".encode())
    assert capfd.readouterr().err.splitlines() == SAID
    with pytest.raises(KeyError), quiet.without_log_lines():
        os.write(2, b"before the error\n")
        raise KeyError
    assert capfd.readouterr().err == "before the error\n"


@pytest.mark.parametrize(("level", "is_quiet"), [(None, True), ("0", False)])
def test_tensorflow_is_imported_without_a_line(level, is_quiet):
    """Neither by what is used first, nor by Keras; unless the environment asks for its log."""
    code = """
import keras_bld
import keras
keras.ops.zeros(3) + 1
"""
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment,
        cwd=PROJECT_ROOT, check=True,
    )  # fmt: skip
    assert (finished.stdout + finished.stderr == "") is is_quiet


def test_what_a_command_never_needs_is_not_imported(monkeypatch):
    monkeypatch.setitem(start._state, "is_command", False)  # whatever ran in this process before
    assert start._unused() == ()
    monkeypatch.setitem(start._state, "is_command", True)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "jax" not in start._unused() and "sklearn" in start._unused()
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert "jax" in start._unused()
    with start._hidden(("colorsys_of_nobody", "os")):
        with pytest.raises(ImportError):
            __import__("colorsys_of_nobody")
        import os.path  # noqa: F401 (there already)
    assert "colorsys_of_nobody" not in sys.modules


def test_notes_are_left_out_and_warnings_are_not(caplog):
    logger = logging.getLogger("tensorflow")
    caplog.set_level(logging.INFO, logger.name)
    with quiet.without_notes():
        logger.info("Assets written to: somewhere")
        logger.warning("something is wrong")
    logger.info("a note of the caller's")
    assert [record.message for record in caplog.records] == [
        "something is wrong",
        "a note of the caller's",
    ]
