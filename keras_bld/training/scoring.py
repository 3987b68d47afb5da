"""What of a recipe's evaluation card its images allow."""

from keras_bld.base import checks
from keras_bld.base.runs import option, say
from keras_bld.data import random_subset
from keras_bld.evaluation.networks import DOMAIN, NONE, check_network, default_network
from keras_bld.evaluation.real_images import FEWEST, FEWEST_FOR_DISTANCES

_ARGUMENT = "evaluation_network"
_SMALL_IMAGE = 64
_SMOKE_IMAGES, _SMOKE_LARGE_IMAGES = 64, 16


def scored_images(recipe, source):
    """The images of a split that the card is made from: all but in a smoke run."""
    if not recipe.smoke:
        return source
    most = _SMOKE_IMAGES if recipe.image_size <= _SMALL_IMAGE else _SMOKE_LARGE_IMAGES
    return random_subset(source, min(most, len(source)), seed=recipe.seed)


def check_evaluation_network(recipe, train, held_out):
    """Notice before the training a feature network that could not be used after it.

    Args:
        recipe: a `Recipe`.
        train, held_out: its image sources.

    Raises:
        ValueError: the recipe's `evaluation_network` needs more images than there are, or
            classes, or there is none of that name.
        ImportError: its package is not installed.
    """
    name = recipe.evaluation_network
    if name in (None, NONE) or recipe.stage not in ("all", "evaluate"):
        return
    few = _few_images(train, held_out, FEWEST_FOR_DISTANCES)
    if few:
        raise checks.error(
            _ARGUMENT,
            f"{name!r} with {few}",
            f"at least {FEWEST_FOR_DISTANCES} of either, for distances and their errors",
            f"pass {option(_ARGUMENT, NONE)}, or give more images",
        )
    check_network(name, train, _ARGUMENT)


def too_few_for_scores(train, held_out):
    """Words for images that are too few for any score, or None."""
    return _few_images(train, held_out, FEWEST)


def evaluation_network(recipe, train, held_out):
    """The word for the card's feature network: the recipe's, or the best that is there."""
    name = recipe.evaluation_network
    if name is not None:
        return name
    few = _few_images(train, held_out, FEWEST_FOR_DISTANCES)
    if few:
        say(f"{few}: no distances, which need {FEWEST_FOR_DISTANCES}")
        return NONE
    # In a smoke run a small classifier: the network of ImageNet takes longer than all the rest.
    name = DOMAIN if recipe.smoke else default_network()
    return NONE if name == DOMAIN and not train.num_classes else name


def _few_images(train, held_out, fewest):
    for source, what in ((held_out, "held-out"), (train, "training")):
        if len(source) < fewest:
            return f"{len(source)} {what} image{'' if len(source) == 1 else 's'}"
    return None
