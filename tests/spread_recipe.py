"""A program that tests start: both stages of `digits` in small, in one or several processes.

    python spread_recipe.py STEP RECIPE_OPTION ...

At the beginning of the STEP-th training step of this program it is sent SIGTERM; for 0 never, for
-1 before training, where it reads the images of validation.
"""

import os
import pathlib
import signal
import sys

PROGRAM = pathlib.Path(__file__).resolve()
ROOT = PROGRAM.parents[1]
SETTINGS = """
    --image-size 8 --width-multipliers 1 2 --base-width 4 --embedding-width 4 --num-groups 2
    --code-channels 4 --autoencoder-batch-size 8 --autoencoder-steps 20
    --depth 1 --width 8 --num-heads 2 --num-training-steps 4 --num-steps 4
    --diffusion-batch-size 8 --diffusion-steps 20 --steps-per-epoch 20
""".split()


def main(step, *words):
    sys.path.insert(0, str(ROOT / "recipes"))
    import digits

    from keras_bld.base.fitting import resuming
    from keras_bld.training import main, runner

    begun, begin = [0], resuming._Saving.on_train_batch_begin

    def on_train_batch_begin(self, batch, logs=None):
        begun[0] += 1
        if begun[0] == int(step):
            os.kill(os.getpid(), signal.SIGTERM)
        begin(self, batch, logs)

    read = runner.Runner._validation_arrays

    def validation_arrays(self):
        if int(step) == -1:
            os.kill(os.getpid(), signal.SIGTERM)
        return read(self)

    resuming._Saving.on_train_batch_begin = on_train_batch_begin
    runner.Runner._validation_arrays = validation_arrays
    runner.STAGES = runner.TRAINED
    main(digits.Digits, [*SETTINGS, *words])


if __name__ == "__main__":
    main(*sys.argv[1:])
