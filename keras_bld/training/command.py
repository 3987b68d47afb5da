"""The command line of a recipe."""

import sys

from keras_bld.base.runs import short_errors
from keras_bld.training.runner import Runner


def main(recipe_class, arguments=None):
    """Parse the command line into a recipe and run it; unknown fields are errors.

    An error ends the program with one line, and so does Ctrl-C, which says where the same command
    goes on.

    Args:
        recipe_class: a subclass of `Recipe`.
        arguments: list of words; None takes those of the program.

    Example:

    >>> main(Digits, ["--smoke", "--work-dir", "/tmp/digits"])  # doctest: +SKIP
    """
    import tyro

    runner = None

    def where():
        return "from its first step" if runner is None else f"from {runner.next_step()}"

    with short_errors(resumable=where):
        recipe = tyro.cli(
            recipe_class,
            args=arguments,
            description=sys.modules["__main__"].__doc__,
            config=(tyro.conf.OmitArgPrefixes,),  # --temperature, not --sampling.temperature
        )
        runner = Runner(recipe)
        runner.run()
