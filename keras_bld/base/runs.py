"""A run: whose folder this is, and the command line that made it."""

import contextlib
import dataclasses
import json
import shlex
import signal
import sys

from keras_bld.base import checks, processor
from keras_bld.base.files import write_json
from keras_bld.base.json_files import read_json
from keras_bld.base.stopping import stops_raise

# How many commands are running in this process (a recipe's `main` is one); threads see it, too.
_COMMANDS: list[object] = []
# What starts a recipe in this process, in place of `python recipes/NAME.py`.
_RECIPE_PROGRAMS: list[str] = []


@contextlib.contextmanager
def recipes_run_as(program):
    """Within the block a recipe is what `program NAME` runs, as in "keras-bld train digits"."""
    _RECIPE_PROGRAMS.append(program)
    try:
        yield
    finally:
        _RECIPE_PROGRAMS.pop()


def recipe_program(name):
    """How whoever runs this starts a recipe, for `command_line`."""
    if _RECIPE_PROGRAMS:
        return f"{_RECIPE_PROGRAMS[-1]} {name}"
    return f"python recipes/{name}.py"


def command_line(program, settings, left_out=()):
    """The command that gives a program these settings, as the shell takes it.

    Args:
        program: the program, with what stands before the options.
        settings: dataclass instance; tyro's form of its fields that differ from their defaults.
        left_out: names of fields that say nothing about the result.
    """
    words = []
    for field, value, default in _flat_fields(settings):
        if value == default or field.name in left_out:
            continue
        flag = field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(_switch(flag, value))
        else:
            items = value if isinstance(value, tuple) else (value,)
            words += [f"--{flag}", *map(str, items)]
    return shlex.join([*program.split(), *words])


def _flat_fields(settings, defaults=None):
    """(field, value, default) of a dataclass and of the dataclasses in it."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        default = field.default if defaults is None else getattr(defaults, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flat_fields(value, default)
        else:
            yield field, value, default


def claim_folder(path, settings, free=(), defaults=None):
    """Write the settings of a run to its folder, or refuse a folder of a run with others.

    Args:
        path: of the JSON file in that folder.
        settings: dict.
        free: names of settings that may differ from the run's that is there.
        defaults: values of settings that the run there has not recorded, because it began before
            they existed.

    Raises:
        ValueError: the folder holds a run with other settings; the message names them.
    """
    settings = json.loads(json.dumps(settings))
    if path.is_file():
        there = read_json(path, *settings_words())
        earlier = {**json.loads(json.dumps(defaults or {}, default=dataclasses.asdict)), **there}
        differences = ", ".join(
            f"{option(name, value)} (there: {_words(earlier.get(name))})"
            for name, value in settings.items()
            if name not in free and earlier.get(name) != value
        )
        if differences:
            raise checks.error(
                "work_dir",
                f"{path.parent}, a run with other settings: {differences}",
                "a new folder, or the settings of the run in it",
                f"pass {option('work_dir', 'NEW_FOLDER')}, or leave those settings out",
            )
    write_json(path, settings)


def settings_words():
    """What `read_json` calls the settings of a run, and what to do where they are damaged."""
    fix = f"delete the file, or pass {option('work_dir', 'NEW_FOLDER')}"
    return "work_dir", "the settings of a run", fix


def say(message):
    """One line of the run's log."""
    print(message, flush=True)


def warn_of_imitated_bfloat16():
    """Say it where networks in bfloat16 would run on a processor that only imitates it."""
    from keras_bld.base.backend import runs_on_cpu  # imports Keras; a command says --help without

    if runs_on_cpu() and processor.computes_bfloat16() is False:
        say(
            "WARNING: this processor has no bfloat16. TensorFlow and JAX imitate it, many times "
            "slower than float32; torch cannot train stage 1 in it. "
            f"Fix: leave {option('mixed_precision', True)} out, and begin in a new work directory."
        )


def suggest_bfloat16():
    """Say it where a training in float32 would be faster in bfloat16 (docs/performance.md)."""
    import keras

    from keras_bld.base.backend import runs_on_cpu

    if runs_on_cpu():  # stage 2, as seen on torch; not on TensorFlow
        if not (keras.backend.backend() == "torch" and processor.computes_bfloat16()):
            return
    say(
        "This machine computes bfloat16 itself: all but small denoisers train faster with "
        f"{option('mixed_precision', True)}, in a new work directory."
    )


@contextlib.contextmanager
def short_errors(resumable=False):
    """Within the block a command of the shell runs: advice names its options, errors are short.

    An error that says what to do ends the program with its message alone and the code 1; Ctrl-C
    and SIGTERM with one line and 128 plus the number of the signal: 130 and 143.

    Args:
        resumable: whether the same command goes on after an interruption; or a callable that
            returns where, in words.
    """
    _COMMANDS.append(True)
    try:
        with stops_raise():
            yield
    except (ValueError, OSError, ImportError) as error:
        # The message says all; a traceback would bury it.
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt as interruption:
        number = getattr(interruption, "number", signal.SIGINT)
        where = resumable() if callable(resumable) else "where this one stopped"
        hint = f"; the same command goes on {where}" if resumable else ""
        how = "interrupted" if number == signal.SIGINT else f"stopped by {interruption}"
        print(f"{how}{hint}", file=sys.stderr, flush=True)
        raise SystemExit(128 + number) from interruption
    finally:
        _COMMANDS.pop()


def option(name, value):
    """How whoever runs this says it: `--on-error skip` in a shell, `on_error="skip"` in Python."""
    if _COMMANDS:
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            return _switch(flag, value)
        return f"--{flag} {_words(value)}"
    return f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}"


def _words(value):
    """A value as the shell takes it, where a command runs; else as Python does."""
    if not _COMMANDS:
        return repr(value)
    items = value if isinstance(value, list | tuple) else [value]
    return " ".join(shlex.quote(str(item)) for item in items)


def _switch(flag, is_on):
    return f"--{flag}" if is_on else f"--no-{flag}"
