"""The command line of a recipe."""

import argparse
import dataclasses
import shlex
import sys
import typing

from keras_bld.base import checks
from keras_bld.base.json_files import read_json
from keras_bld.base.runs import recipe_program, say, settings_words, short_errors
from keras_bld.diffusion.sampling import Sampling
from keras_bld.training.recipe import SETTINGS_FILE

# What each call says for itself.
_OF_THE_CALL = ("stage", "dry_run", "smoke", "work_dir", "distribution")


def main(recipe_class, arguments=None):
    """Parse the command line into a recipe and run it; unknown fields are errors.

    In the work directory of an earlier run its settings are the defaults: what made it need not be
    said again. An error ends the program with one line. Ctrl-C and SIGTERM end the step, write a
    checkpoint, and end the program with one line that says where the same command goes on, and
    with the code 130 or 143.

    Args:
        recipe_class: a subclass of `Recipe`.
        arguments: list of words; None takes those of the program.

    Example:

    >>> main(Digits, ["--smoke", "--work-dir", "/tmp/digits"])  # doctest: +SKIP
    """
    import tyro

    arguments = sys.argv[1:] if arguments is None else list(arguments)
    runner = None

    def where():
        step = "its first step" if runner is None else runner.next_step()
        return f"from {step}: {recipe_program(recipe_class.name)} {shlex.join(arguments)}".rstrip()

    try:
        with short_errors(resumable=where):
            earlier = settings_of_the_run(recipe_class, arguments)
            options = {} if earlier is None else {"default": earlier}
            recipe = tyro.cli(
                recipe_class,
                args=arguments,
                prog=recipe_program(recipe_class.name),
                description=sys.modules["__main__"].__doc__,
                config=(tyro.conf.OmitArgPrefixes,),  # --temperature, not --sampling.temperature
                **options,
            )
            if earlier is not None:
                say(f"settings that are not given are those of the run in {recipe.folder}")
            from keras_bld.training.runner import Runner  # Keras with it, which --help does without

            runner = Runner(recipe)
            runner.run()
    except BaseException as error:
        if runner is not None:
            from keras_bld.base.processes import leave

            leave(error)
        raise


def settings_of_the_run(recipe_class, arguments):
    """The recipe as it was run in the work directory of a command line; None where none was.

    Args:
        recipe_class: a subclass of `Recipe`.
        arguments: list of words.

    Raises:
        ValueError: a damaged file of settings.
    """
    place = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    place.add_argument("--work-dir", "--work_dir")
    place.add_argument("--smoke", action=argparse.BooleanOptionalAction)
    given, _ = place.parse_known_args(arguments)
    given = {name: value for name, value in vars(given).items() if value is not None}
    path = recipe_class(**given).folder / SETTINGS_FILE
    if not path.is_file():
        return None
    words = settings_words()
    there = read_json(path, *words)
    if there.get("name") != recipe_class.name:
        return None  # of another recipe: the runner refuses the folder
    with checks.as_error(lambda reason: checks.error(words[0], f"{path} ({reason})", *words[1:])):
        return recipe_class(**{**_fields(recipe_class, there), **given})


def _fields(recipe_class, there):
    """Values of the recipe's fields as JSON has them: tuples are lists, `sampling` a dictionary."""
    values = {}
    for field in dataclasses.fields(recipe_class):
        if field.name in there and field.name not in _OF_THE_CALL:
            value = there[field.name]
            if typing.get_type_hints(recipe_class)[field.name] is Sampling:
                value = Sampling.of(value)
            value = tuple(value) if isinstance(value, list) else value
            kinds = (int, float) if isinstance(field.default, float) else type(field.default)
            if None not in (value, field.default) and not isinstance(value, kinds):
                raise TypeError(f"{field.name} is {value!r}")
            values[field.name] = value
    return values
