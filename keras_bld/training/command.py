"""The command line of a recipe."""

import sys

from keras_bld.training.runner import Runner


def main(recipe_class, arguments=None):
    """Parse the command line into a recipe and run it; unknown fields are errors.

    Args:
        recipe_class: a subclass of `Recipe`.
        arguments: list of words; None takes those of the program.

    Example:

    >>> main(Digits, ["--smoke", "--work-dir", "/tmp/digits"])  # doctest: +SKIP
    """
    import tyro

    recipe = tyro.cli(
        recipe_class,
        args=arguments,
        description=sys.modules["__main__"].__doc__,
        config=(tyro.conf.OmitArgPrefixes,),  # --temperature, not --sampling.temperature
    )
    Runner(recipe).run()
