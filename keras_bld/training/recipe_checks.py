"""Settings of a recipe that cannot be, noticed before anything is computed."""

from keras_bld.base import checks
from keras_bld.base.runs import option
from keras_bld.baselines import BOTTLENECKS, WITHOUT_BITS

# Settings of the paper's bits, with the values that leave other bottlenecks as they are.
_OF_BERNOULLI = {"sharpness": 1, "bit_gradient": "straight_through"}


def check_recipe(recipe):
    """Check that the settings of a `Recipe` are in range and fit together.

    Raises:
        ValueError: a setting out of range, or two that cannot be together.
    """
    for field in (
        "autoencoder_steps", "diffusion_steps", "steps_per_epoch", "num_training_steps",
    ):  # fmt: skip
        checks.check_integer(field, getattr(recipe, field), 1)
    for field in ("autoencoder_steps", "diffusion_steps"):
        checks.check_steps(field, getattr(recipe, field), recipe.steps_per_epoch)
    _check_bottleneck(recipe)
    recipe.checkpoint_policy  # noqa: B018, it checks the fields
    parts = checks.check_integer(
        "gradient_accumulation_steps", recipe.gradient_accumulation_steps, 1
    )
    for field in ("autoencoder_batch_size", "diffusion_batch_size"):
        if getattr(recipe, field) % parts:
            raise checks.error(
                field,
                f"{getattr(recipe, field)}, with gradient_accumulation_steps {parts}",
                f"a multiple of {parts}",
                f"change {field} or gradient_accumulation_steps",
            )
    checks.check_integer("num_evaluation_images", recipe.num_evaluation_images, 20)
    checks.check_integer("evaluation_epochs", recipe.evaluation_epochs, 1)
    if recipe.sampling.num_steps is not None:
        most = recipe.num_training_steps
        checks.check_integer("num_steps", recipe.sampling.num_steps, 1, most)
    factor = recipe.downsampling_factor
    if recipe.image_size % factor:
        raise checks.error(
            "image_size",
            f"{recipe.image_size}",
            f"a multiple of {factor}, the downsampling of {recipe.width_multipliers}",
            "change image_size, or give fewer width_multipliers",
        )
    crop = checks.check_integer("autoencoder_crop_size", recipe.autoencoder_crop_size, 0)
    if crop % factor or crop > recipe.image_size:
        raise checks.error(
            "autoencoder_crop_size",
            f"{crop}",
            f"0, or a multiple of {factor} and at most {recipe.image_size}, the image_size",
            "change autoencoder_crop_size",
        )


def _check_bottleneck(recipe):
    checks.check_choice("bottleneck", recipe.bottleneck, tuple(BOTTLENECKS))
    if recipe.bottleneck in WITHOUT_BITS and recipe.stage != "autoencoder":
        with_bits = [repr(name) for name in BOTTLENECKS if name not in WITHOUT_BITS]
        raise checks.error(
            "bottleneck",
            f"{recipe.bottleneck!r}, whose codes are real numbers, with stage {recipe.stage!r}",
            f"a bottleneck whose codes are bits: {', '.join(with_bits)}",
            "choose one of these, or train stage 1 alone with " + option("stage", "autoencoder"),
        )
    for field, none in _OF_BERNOULLI.items():
        received = getattr(recipe, field)
        if recipe.bottleneck != "bernoulli" and received != none:
            raise checks.error(
                field,
                f"{received} with the bottleneck {recipe.bottleneck!r}, which has none",
                f"{none}, or the bottleneck 'bernoulli'",
                f"pass {option(field, none)}",
            )
