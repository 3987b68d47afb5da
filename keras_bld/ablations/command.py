"""The command line of recipes/ablations.py."""

import dataclasses
from typing import Literal

from keras_bld.ablations.settings import Study
from keras_bld.base.runs import recipe_program, say


@dataclasses.dataclass(frozen=True)
class _Arguments(Study):
    table: Literal["table4", "table5", "table7", "figure7", "schedules"] = "table4"
    """Which comparison."""


def ablations_command(arguments=None, description=None):
    """Parse the command line (first word: the table) and run the study.

    Args:
        arguments: list of words; None takes those of the program.
        description: shown by --help.
    """
    import sys

    import tyro

    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and not words[0].startswith("-"):
        words = ["--table", *words]
    chosen = tyro.cli(
        _Arguments, args=words, prog=recipe_program("ablations"), description=description
    )
    from keras_bld.ablations.study import run_study  # Keras with it, which --help does without

    fields = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(Study)}
    say(f"{run_study(chosen.table, Study(**fields))}")
