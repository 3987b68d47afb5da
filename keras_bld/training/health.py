"""Warnings of a training that goes on but learns little, from the metrics that it has anyway."""

import keras

from keras_bld.base.runs import say

MOST_DEAD_BITS = 0.5
FEWEST_IMAGES = 256
# Of the hinge loss, (1 - real) + (1 + fake) over 2: 1 where the critic says 0 to all images.
CRITIC_WINS = 0.02
CRITIC_IS_FLAT = 1e-3


class TrainingHealth(keras.callbacks.Callback):
    """Says at the end of an epoch, once each, that bits are dead or the critic has collapsed.

    Args:
        images_per_epoch: of few images most bits are the same.
        critic_starts: number of the first epoch, from 0, that begins with a critic.
    """

    async_safe = True  # it looks at epochs alone

    def __init__(self, images_per_epoch, critic_starts=0):
        super().__init__()
        self._is_long = images_per_epoch >= FEWEST_IMAGES
        self._critic_starts = critic_starts
        self._said = set()

    def on_epoch_end(self, epoch, logs=None):
        """Look at the means of the epoch."""
        logs = logs or {}
        if not self._is_long or epoch == 0:  # a new network says little
            return
        dead = logs.get("dead_bits", 0.0)
        if dead > MOST_DEAD_BITS:
            self._say(
                "bits",
                f"{dead:.0%} of the bits are the same in all images of epoch {epoch + 1}: stage 2 "
                "will learn little from them. Fix: fewer code_channels, a lower "
                "autoencoder_learning_rate, or a longer autoencoder_warmup_steps",
            )
        critic = logs.get("critic")
        if critic is None or epoch < self._critic_starts:
            return
        if critic < CRITIC_WINS:
            self._say(
                "sharp critic",
                f"the critic tells all images of epoch {epoch + 1} apart (loss {critic:.2g}): its "
                "gradients are near 0. Fix: a later critic_start_step, or a lower "
                "adversarial_weight",
            )
        elif abs(critic - 1.0) < CRITIC_IS_FLAT:
            self._say(
                "flat critic",
                f"the critic says the same of all images of epoch {epoch + 1} (loss 1): it has "
                "collapsed. Fix: a lower autoencoder_learning_rate, or a later critic_start_step",
            )

    def _say(self, kind, warning):
        if kind not in self._said:
            self._said.add(kind)
            say(f"WARNING: {warning}")
