"""`keras-bld COMMAND`: one function for each command, imported when it is called."""

import importlib
import sys

from keras_bld.base import start

# Name -> "module:function". The function's arguments are the options, its docstring the help. Its
# module imports at the top only what needs no Keras, because `--help` imports all of them.
COMMANDS = {
    "benchmark": "keras_bld.benchmark.command:benchmark_command",
    "convert": "keras_bld.commands.convert:convert_command",
    "demo": "keras_bld.commands.demo:demo_command",
    "distill": "keras_bld.commands.distill:distill_command",
    "distill-decoder": "keras_bld.commands.distill_decoder:distill_decoder_command",
    "encode": "keras_bld.commands.encode:encode_command",
    "evaluate": "keras_bld.commands.evaluate:evaluate_command",
    "export": "keras_bld.commands.export:export_command",
    "finetune-decoder": "keras_bld.commands.finetune_decoder:finetune_decoder_command",
    "fit-time-grid": "keras_bld.commands.fit_time_grid:fit_time_grid_command",
    "generate": "keras_bld.commands.generate:generate_command",
    "inpaint": "keras_bld.commands.inpaint:inpaint_command",
    "presets": "keras_bld.commands.presets:presets_command",
    "publish": "keras_bld.commands.publish:publish_command",
    "reconstruct": "keras_bld.commands.reconstruct:reconstruct_command",
    "serve": "keras_bld.commands.serve:serve_command",
    "train": "keras_bld.commands.train:train_command",
}


def main(arguments=None):
    """Run the command that `arguments` (by default the program's own) begin with."""
    import tyro

    start.begin_command()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["train"] and arguments[1:] and not arguments[1].startswith("-"):
        from keras_bld.commands.train import run_recipe

        run_recipe(*arguments[1:])  # its options are the recipe's
        return
    chosen = arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS
    tyro.extras.subcommand_cli_from_dict(
        {name: _function(name) for name in chosen},
        prog="keras-bld",
        description="Binary Latent Diffusion for Keras 3.",
        args=arguments,
    )


def _function(name):
    module, _, function = COMMANDS[name].partition(":")
    return getattr(importlib.import_module(module), function)


if __name__ == "__main__":
    main()
