"""An estimate of what a run will need, before it starts."""

import contextlib
import dataclasses
import math

from keras_bld.base import checks
from keras_bld.base.memory import available_bytes, is_out_of_memory
from keras_bld.base.runs import option, say
from keras_bld.training.distribution import Distribution
from keras_bld.training.models import build_autoencoder

_BYTES = 4  # float32
ONE_DEVICE = Distribution()


def describe(recipe, diffusion, distribution=ONE_DEVICE):
    """Print the resolved settings, model sizes, steps and estimated memory of a recipe.

    Args:
        recipe: a `Recipe`.
        diffusion: its `BinaryLatentDiffusion` before training, without an autoencoder.
        distribution: `Distribution`; memory is that of one of its devices.
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
        state, activations = on_a_device(distribution, state, activations)
        each = "" if distribution.mode == "none" else " of a device"
        say(
            f"{stage}: {steps:,} steps of batch {batch}; estimated memory{each} "
            f"{_gigabytes(state)} (weights and optimizer) + {_gigabytes(activations)} (activations)"
        )
        warning = what_fits(recipe, stage, state, activations, distribution=distribution)
        if warning:
            say(warning)


def warn_if_too_large(recipe, stage, model, distribution=ONE_DEVICE):
    """Say so before a stage trains that the machine's memory will hardly hold.

    Args:
        recipe: a `Recipe`.
        stage: "autoencoder" or "diffusion".
        model: its compiled model.
        distribution: `Distribution`.
    """
    momentum = getattr(recipe, f"{stage}_ema_momentum")
    num_trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    activations = {
        "autoencoder": lambda: autoencoder_activations(recipe.on_crops()),
        "diffusion": lambda: denoiser_activations(recipe),
    }
    state = num_trained * _BYTES * (5 if momentum else 4)
    state, activations = on_a_device(distribution, state, activations[stage]())
    warning = what_fits(recipe, stage, state, activations, distribution=distribution)
    if warning:
        say(warning)


def on_a_device(distribution, state, activations):
    """Bytes of weights and optimizer, and of activations, on each device of a `Distribution`."""
    in_a_group = len(distribution.devices) // distribution.num_parts
    return state // in_a_group, activations // (distribution.num_parts * in_a_group)


def what_fits(recipe, stage, state, activations, available=None, distribution=ONE_DEVICE):
    """A warning with what to change, where a stage needs more memory than there is; else None.

    Args:
        recipe: a `Recipe`.
        stage: "autoencoder" or "diffusion".
        state, activations: bytes of one device, as estimated.
        available: bytes; None asks the machine.
        distribution: `Distribution`.
    """
    available = available_bytes() if available is None else available
    if available is None or state + activations <= available:
        return None
    batch = getattr(recipe, f"{stage}_batch_size")
    in_a_step = batch // recipe.gradient_accumulation_steps
    words = "" if distribution.mode == "none" else " of each device"
    room = max(0, available - state)
    devices = distribution.num_parts
    fits = int(room * in_a_step // activations) // devices * devices
    changes = []
    if fits:
        turns = (
            n for n in range(1, batch + 1) if batch % (n * devices) == 0 and batch // n <= fits
        )
        parts = next(turns, None)
        if parts is not None and distribution.mode not in ("mirrored", "multi_worker"):
            in_parts = option("gradient_accumulation_steps", parts)
            changes += [in_parts + " (the same batch, in parts)"]
        changes += [option(f"{stage}_batch_size", fits)]
    if stage == "autoencoder":
        changes += _crop_that_fits(recipe, room)
    if not recipe.mixed_precision and state + activations / 2 <= available:
        changes += [option("mixed_precision", True)]
    if distribution.mode in ("data_parallel", "mirrored", "multi_worker"):
        changes += ["more devices, which share the activations"]
    if distribution.mode == "data_parallel" and state > available:
        changes += [option("distribution", "model_parallel") + ", which shares the weights, too"]
    if distribution.mode == "model_parallel":
        changes += ["more devices, which share the weights"]
    need = _gigabytes(state + activations)
    return (
        f"WARNING: {stage} needs about {need} of memory{words}, and there are "
        f"{_gigabytes(available)}. "
        f"Fix: {' or '.join(changes)}"
    )


@contextlib.contextmanager
def memory_errors(recipe, stage):
    """Within the block a backend's error of too little memory says what to change."""
    try:
        yield
    except Exception as reason:
        if not is_out_of_memory(reason):
            raise
        batch = getattr(recipe, f"{stage}_batch_size")
        parts = recipe.gradient_accumulation_steps
        name, half = f"{stage}_batch_size", max(1, batch // 2)
        ways = [option(name, half)]
        more = next((n for n in range(parts + 1, batch + 1) if batch % n == 0), None)
        if more is not None:
            in_parts = option("gradient_accumulation_steps", more)
            ways.insert(0, f"{in_parts} (the same batch, in parts)")
        if stage == "autoencoder":
            crop = (recipe.autoencoder_crop_size or recipe.image_size) // 2
            if crop % recipe.downsampling_factor == 0:
                ways.append(option("autoencoder_crop_size", crop))
        raise checks.error(
            name,
            f"{batch}, for which memory did not suffice ({checks.reason_of(reason)})",
            "a batch that fits",
            f"pass {' or '.join(ways)}, in a new work_dir",
        ) from reason


def _crop_that_fits(recipe, room):
    """The largest crop, by halves, at which one step of stage 1 fits."""
    crop = (recipe.autoencoder_crop_size or recipe.image_size) // 2
    while crop >= 4 * recipe.downsampling_factor and crop % recipe.downsampling_factor == 0:
        smaller = dataclasses.replace(recipe, autoencoder_crop_size=crop)
        if autoencoder_activations(smaller.on_crops()) <= room:
            return [option("autoencoder_crop_size", crop)]
        crop //= 2
    return []


def denoiser_activations(recipe):
    """Bytes that a training step of the denoiser keeps for its backward pass.

    About 17 tensors of the tokens' size a block (norms, projections, the MLP's four-fold hidden
    layer twice) and two attention maps, as counted by Korthikanti et al. (2022), in the
    precision of the networks.
    """
    tokens = recipe.code_shape[0] * recipe.code_shape[1] + 2
    block = tokens * recipe.width * 17 + 2 * recipe.num_heads * tokens**2
    batch = recipe.diffusion_batch_size // recipe.gradient_accumulation_steps
    return batch * recipe.depth * block * _precision(recipe)


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
    batch = recipe.autoencoder_batch_size // recipe.gradient_accumulation_steps
    return batch * maps * _precision(recipe)


def _precision(recipe):
    return 2 if recipe.mixed_precision else _BYTES


def _gigabytes(num_bytes):
    return f"{num_bytes / 2**30:.2f} GiB"
