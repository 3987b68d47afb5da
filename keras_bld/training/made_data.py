"""Made images, in place of a data set that is not here: enough for a smoke run."""

import numpy as np

from keras_bld.base import checks
from keras_bld.base.runs import say
from keras_bld.data import ArraySource

_NUM_IMAGES = {"train": 64, "held_out": 32}
_CELLS = 4


class MadeSource(ArraySource):
    """Images of no data set."""


def real_or_made(recipe, split):
    """The recipe's source; of a smoke run whose data set is not here, made images.

    Args:
        recipe: a `Recipe`.
        split: "train" or "held_out".
    """
    try:
        return recipe.source(split)
    except (OSError, ImportError) as reason:
        if not recipe.may_be_made:
            raise
        say(f"{split}: made images, enough for a smoke run. {checks.reason_of(reason)}")
        return made_source(recipe, split)


def made_source(recipe, split):
    """Squares of random colours, labelled where the recipe is class-conditional.

    Args:
        recipe: a `Recipe` with `num_classes`, if it is class-conditional.
        split: "train" or "held_out".
    """
    size, channels = recipe.image_size, recipe.image_channels
    count = _NUM_IMAGES[split]
    generator = np.random.default_rng([recipe.seed, count])
    squares = generator.integers(0, 256, (count, _CELLS, _CELLS, channels), "uint8")
    places = np.arange(size) * _CELLS // size
    images = squares[:, places][:, :, places]
    if not recipe.class_conditional:
        return MadeSource(images)
    names = [f"class {number}" for number in range(recipe.num_classes)]
    return MadeSource(images, np.arange(count) % min(recipe.num_classes, 4), names)
