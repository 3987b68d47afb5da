"""The start: what is set before Keras imports TensorFlow, and Keras itself at its first use.

`import keras_bld` imports neither Keras nor a backend. The rooms whose classes presets and `.keras`
files name are imported together with Keras, or with the first module that needs it, whichever
comes first.
"""

import contextlib
import gc
import importlib
import json
import os
import pathlib
import sys

from keras_bld.base import processor
from keras_bld.base.module_imports import lazy_homes, needs_keras
from keras_bld.base.quiet import silence_tensorflow, without_log_lines

_PACKAGE = "keras_bld."
# Their modules register the Keras classes of the library, and the presets.
_ROOMS = (
    "base.fitting.accumulation",
    "autoencoder",
    "baselines",
    "diffusion",
    "metrics",
    "zoo",  # tells `from_preset` of every class where the shipped presets are
)
# What Keras and TensorFlow import where it is installed, and no command needs of them.
_UNUSED = ("matplotlib.pyplot", "sklearn")
_UNUSED_BY_OTHER_BACKENDS = ("jax",)
_state = {"is_command": False}


def prepare():
    """Choose what TensorFlow reads from the environment at its import, and watch for Keras.

    oneDNN's kernels are on, log lines of TensorFlow's C++ are off. A variable that is set already
    stays; where TensorFlow was imported first, nothing changes.
    """
    processor.turn_on_onednn()
    if silence_tensorflow() and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _QuietTensorflow())
    if "keras" in sys.modules:
        load_rooms()
    else:
        sys.meta_path.insert(0, _watch)


def load_rooms():
    """Import Keras and all rooms with Keras classes, once."""
    if _watch.is_done or _is_within_an_import():
        return
    _watch.is_done = True
    if _watch in sys.meta_path:
        sys.meta_path.remove(_watch)
    try:
        with _quick_and_quiet(), _hidden(_unused()):
            importlib.import_module("keras")
            for room in _ROOMS:
                importlib.import_module(_PACKAGE + room)
                for home in sorted(set(lazy_homes(_PACKAGE + room).values())):
                    importlib.import_module(home)
    except BaseException:
        _watch.is_done = False  # such as a backend that is not installed
        sys.meta_path.insert(0, _watch)
        raise


def begin_command():
    """This process runs a command: what that never needs is not imported along with Keras."""
    _state["is_command"] = True


class _Watch:
    """An import hook that never finds a module: it sees the first one that needs Keras."""

    is_done = False

    def find_spec(self, name, path=None, target=None):
        if name == "keras":
            return _changed(_with_rooms_after, self, name, path, target)
        if name.startswith(_PACKAGE) and needs_keras(name):
            load_rooms()
            if name in sys.modules:  # it is in one of the rooms
                return _there_already(sys.modules[name].__spec__)
        return None


class _QuietTensorflow:
    """An import hook that leaves TensorFlow's log lines out, whoever imports it, and when.

    On other backends Keras does, where it first meets certain data.
    """

    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            return _changed(_without_log_lines, self, name, path, target)
        return None


def _changed(change, own, name, path, target):
    """A module as other finders find it, whose execution is changed; None where none does."""
    for finder in sys.meta_path:
        spec = None if finder is own else finder.find_spec(name, path, target)
        if spec is not None:
            spec.loader.exec_module = change(spec.loader.exec_module)
            return spec
    return None


def _without_log_lines(execute):
    def execute_quietly(module):
        with without_log_lines():
            execute(module)

    return execute_quietly


def _with_rooms_after(execute):
    def execute_and_load(module):
        with _quick_and_quiet():
            execute(module)
        load_rooms()

    return execute_and_load


_watch = _Watch()


def _is_within_an_import():
    """Whether a module of the library is being imported: the rooms may need what it has not yet."""
    return any(
        name.startswith(_PACKAGE) and getattr(module.__spec__, "_initializing", False)
        for name, module in list(sys.modules.items())
    )


def _there_already(spec):
    """The spec of an imported module, with which the import system ends with that very module."""
    loader = spec.loader

    class ThereAlready:
        def create_module(self, spec):
            return sys.modules[spec.name]

        def exec_module(self, module):
            spec.loader = loader

    spec.loader = ThereAlready()
    return spec


@contextlib.contextmanager
def _quick_and_quiet():
    """No garbage collection, a quarter of the time of Keras's import, and no log lines."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        with without_log_lines() if silence_tensorflow() else contextlib.nullcontext():
            yield
    finally:
        if _state["is_command"]:
            gc.freeze()  # of what is imported nothing becomes garbage
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _hidden(names):
    """Within the block these modules cannot be imported, unless they are already."""
    names = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _unused():
    if not _state["is_command"]:
        return ()
    return _UNUSED if _backend() == "jax" else _UNUSED + _UNUSED_BY_OTHER_BACKENDS


def _backend():
    """The backend that Keras is going to take, as it says itself."""
    if "KERAS_BACKEND" in os.environ:
        return os.environ["KERAS_BACKEND"]
    home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    try:
        return json.loads((pathlib.Path(home) / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return "tensorflow"
