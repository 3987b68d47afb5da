"""The models of a recipe, before training."""

from keras_bld.autoencoder.perceptual import perceptual_distance
from keras_bld.base import checks
from keras_bld.base.runs import say
from keras_bld.baselines import autoencoder_with
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.diffusion.warm_start import copy_denoiser_weights
from keras_bld.zoo import load_preset, read_metadata, save_preset

_OF_AN_ORIGIN = ("command", "training_steps", "trained_on", "files", "origins")


def build_autoencoder(recipe, perceptual=True):
    """The untrained autoencoder of a recipe.

    Args:
        recipe: a `Recipe`.
        perceptual: False leaves the perceptual loss out, and its weights unfetched.
    """
    perceptual = perceptual_distance(recipe.perceptual) if perceptual else None
    adaptive_weight = None if recipe.adaptive_weight == "none" else recipe.adaptive_weight
    return autoencoder_with(
        recipe.bottleneck,
        recipe.image_shape,
        recipe.code_channels,
        base_width=recipe.base_width,
        sharpness=recipe.sharpness,
        bit_gradient=recipe.bit_gradient,
        width_multipliers=recipe.width_multipliers,
        num_blocks=recipe.num_blocks,
        attention_resolutions=recipe.attention_resolutions,
        embedding_width=recipe.embedding_width,
        num_groups=recipe.num_groups,
        reconstruction=recipe.reconstruction,
        perceptual=perceptual,
        perceptual_weight=recipe.perceptual_weight,
        critic=True if recipe.adversarial_weight > 0 else None,
        adversarial_weight=recipe.adversarial_weight,
        # The model counts the parts of batches.
        critic_start_step=recipe.critic_start_step * recipe.gradient_accumulation_steps,
        adaptive_weight=adaptive_weight,
    )


def enlarge_autoencoder(recipe, trained):
    """The autoencoder of whole images, with the weights of the one that `on_crops` trained."""
    # From its config, not the recipe's: a new critic's depth could follow from the size.
    shapes = {
        "image_shape": recipe.image_shape,
        "attention_resolutions": recipe.attention_resolutions,
    }
    autoencoder = type(trained).from_config({**trained.get_config(), **shapes})
    autoencoder.set_weights(trained.get_weights())
    return autoencoder


def build_diffusion(recipe, class_names=None, wordings=None, autoencoder=None):
    """The `BinaryLatentDiffusion` of a recipe before training.

    Args:
        recipe: a `Recipe`.
        class_names: names of the classes of a class-conditional model.
        wordings: `Wordings` of a text-conditional model.
        autoencoder: the trained stage 1. With it, the denoiser gets the weights of the recipe's
            `denoiser_preset`; without, it is built to be described.
    """
    condition = {"num_classes": len(class_names) if class_names else None}
    if wordings is not None:
        condition = {
            "text_width": wordings.width,
            "text_conditioning": wordings.text_conditioning,
        }
    denoiser = BernoulliDenoiser(
        recipe.code_shape,
        recipe.depth,
        recipe.width,
        recipe.num_heads,
        recipe.num_training_steps,
        patch_size=recipe.patch_size,
        dropout=recipe.dropout,
        **condition,
    )
    if autoencoder is not None and recipe.denoiser_preset is not None:
        source = load_preset(recipe.denoiser_preset, expected_class="BinaryLatentDiffusion")
        copy_denoiser_weights(source.denoiser, denoiser)
    return BinaryLatentDiffusion(
        denoiser,
        BernoulliNoiseSchedule(recipe.num_training_steps, recipe.schedule),
        autoencoder,
        target=recipe.target,
        vlb_weight=recipe.vlb_weight,
        label_dropout=recipe.label_dropout,
        sampling=recipe.sampling,
        class_names=class_names,
    )


def describe_origins(recipe):
    """The presets that a recipe begins with, and how they were trained, for the metadata.

    Returns:
        Dictionary of the recipe's fields that name a preset -> what its metadata says.
    """
    origins = {}
    for field in ("autoencoder_preset", "denoiser_preset"):
        preset = getattr(recipe, field)
        if preset is not None:
            metadata = read_metadata(preset)
            kept = {key: metadata[key] for key in _OF_AN_ORIGIN if metadata.get(key) is not None}
            origins[field] = {"preset": preset, **kept}
    return origins


def take_autoencoder(recipe, path):
    """Save the autoencoder of the preset that the recipe names as a preset at `path`, once.

    Raises:
        ValueError: an autoencoder of other images or codes than the recipe's.
    """
    preset = recipe.autoencoder_preset
    origin = read_metadata(preset)
    taken = {"taken_from": preset, "files_there": origin["files"]}
    if (path / "metadata.json").is_file() and taken.items() <= read_metadata(path).items():
        say(f"{path} is that of {preset}; nothing to train")
        return
    model = load_preset(preset)
    autoencoder = getattr(model, "autoencoder", model)
    shapes = {"image_shape": recipe.image_shape, "code_shape": recipe.code_shape}
    for name, wanted in shapes.items():
        given = getattr(autoencoder, name, None)
        if given != wanted:
            raise checks.error(
                "autoencoder_preset",
                f"{preset!r} with {name} {given}",
                f"an autoencoder with {name} {wanted}",
                "choose image_size, width_multipliers, bottleneck and code_channels as there",
            )
    # Its images, not the recipe's: these are what it must not be measured on.
    trained_on = {"trained_on": origin["trained_on"]} if origin.get("trained_on") else {}
    save_preset(autoencoder, path, {"recipe": recipe.name, **taken, **trained_on})
