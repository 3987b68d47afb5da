"""An estimate of what a run will need, before it starts."""

import dataclasses

from keras_bld.base.runs import say
from keras_bld.training.models import build_autoencoder

_BYTES = 4  # float32


def describe(recipe, diffusion):
    """Print the resolved settings, model sizes, steps and estimated memory of a recipe.

    Args:
        recipe: a `Recipe`.
        diffusion: its `BinaryLatentDiffusion` before training, without an autoencoder.
    """
    say(f"{recipe.name} in {recipe.folder}")
    for name, value in dataclasses.asdict(recipe).items():
        say(f"  {name} = {value!r}")
    denoiser_weights = diffusion.denoiser.count_params()
    height, width, bits = recipe.code_shape
    say(f"code: {height} x {width} x {bits} = {height * width * bits} bits an image")
    training = {}
    if recipe.autoencoder_preset is not None:
        say(f"autoencoder: that of {recipe.autoencoder_preset}, nothing to train")
    else:
        # Perceptual weights are fetched when training starts, not to describe it.
        autoencoder = build_autoencoder(recipe.on_crops(), perceptual=False)
        critic_weights = autoencoder.critic.count_params() if autoencoder.critic else 0
        weights = autoencoder.count_params()
        say(
            f"autoencoder: {weights - critic_weights:,} weights, critic: {critic_weights:,} weights"
        )
        training["autoencoder"] = (
            weights,
            autoencoder_activations(recipe.on_crops()),
            recipe.autoencoder_ema_momentum,
        )
    say(f"denoiser: {denoiser_weights:,} weights, {height * width} tokens")
    training["diffusion"] = (
        denoiser_weights,
        denoiser_activations(recipe),
        recipe.diffusion_ema_momentum,
    )
    for stage, (weights, activations, momentum) in training.items():
        # Weights, gradients, two moments of Adam, and the average where one is kept.
        state = weights * _BYTES * (5 if momentum else 4)
        steps = getattr(recipe, f"{stage}_steps")
        batch = getattr(recipe, f"{stage}_batch_size")
        say(
            f"{stage}: {steps:,} steps of batch {batch}; estimated memory "
            f"{_gigabytes(state)} (weights and optimizer) + {_gigabytes(activations)} (activations)"
        )


def denoiser_activations(recipe):
    """Bytes that a training step of the denoiser keeps for its backward pass.

    About 17 tensors of the tokens' size a block (norms, projections, the MLP's four-fold hidden
    layer twice) and two attention maps, as counted by Korthikanti et al. (2022), in the
    precision of the networks.
    """
    tokens = recipe.code_shape[0] * recipe.code_shape[1] + 2
    block = tokens * recipe.width * 17 + 2 * recipe.num_heads * tokens**2
    return recipe.diffusion_batch_size * recipe.depth * block * _precision(recipe)


def autoencoder_activations(recipe):
    """Bytes that a training step of the autoencoder keeps for its backward pass.

    A residual block keeps about six maps of its level's size; encoder and decoder have
    `num_blocks` of them on each level and two in the middle, where attention may add its maps.
    """
    maps, cells = 0, recipe.image_size
    for factor in recipe.width_multipliers:
        maps += 2 * recipe.num_blocks * 6 * cells**2 * recipe.base_width * factor
        if cells in recipe.attention_resolutions:
            maps += 2 * recipe.num_blocks * 2 * cells**4
        cells //= 2
    smallest = cells * 2
    widest = recipe.base_width * recipe.width_multipliers[-1]
    maps += 2 * (2 * 6 * smallest**2 * widest + 2 * smallest**4)
    return recipe.autoencoder_batch_size * maps * _precision(recipe)


def _precision(recipe):
    return 2 if recipe.mixed_precision else _BYTES


def _gigabytes(num_bytes):
    return f"{num_bytes / 2**30:.2f} GiB"
