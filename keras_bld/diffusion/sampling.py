"""What a call of `generate` and its relatives asks for, checked once, before any work."""

import math
from dataclasses import dataclass, fields

import numpy as np

from keras_bld.base import checks
from keras_bld.base import random as bld_random
from keras_bld.diffusion.compiled_sampling import SamplerSettings
from keras_bld.diffusion.conditioning import check_condition
from keras_bld.diffusion.posterior import POSTERIORS
from keras_bld.diffusion.sampler import FINALS

_DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True)
class SamplingOptions:
    """The arguments that all sampling methods share, as given; `generate` says what they mean.

    A new option: one line here, its use in `plan_sampling`, and the methods' signatures.
    """

    labels: object = None
    num_steps: int | None = None
    temperature: float = 0.9
    guidance_scale: float = 0.0
    posterior: str = "exact"
    final: str = "threshold"
    seed: int | None = None
    batch_size: int | None = None
    progress: bool = False
    text_embeddings: object = None
    drop_condition: bool = False

    @classmethod
    def of(cls, arguments):
        """Take the options out of a method's `locals()`."""
        return cls(**{field.name: arguments[field.name] for field in fields(cls)})


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """Checked inputs of the sampling loop for images 0 ... num_images - 1."""

    settings: SamplerSettings
    num_images: int
    seed: int
    temperature: float
    guidance_scale: float
    inputs: tuple
    """Pairs of what the loop gets beside the scalars, and the axis along which images lie."""
    condition: np.ndarray | None
    progress: bool


def plan_sampling(
    model,
    num_images,
    options,
    condition=None,
    noise=None,
    known=None,
    return_trajectory=False,
):
    """Check everything and return the `SamplingPlan`.

    Args:
        model: a `BinaryLatentDiffusion`.
        num_images: how many.
        options: `SamplingOptions`.
        condition: a checked condition with one row an image, in place of the options'.
        noise: explicit uniforms, see `generate_codes`.
        known: pair (codes, mask), each with one row an image, see `sample_chain`.
        return_trajectory: whether all states come back.

    Raises:
        ValueError: an argument outside its range, or a condition that does not fit the model.
    """
    num_images = checks.check_integer("num_images", num_images, 1)
    if condition is None:
        condition = condition_of(model, options, num_images)
    settings = SamplerSettings(
        num_steps=model.check_num_steps(options.num_steps),
        batch_size=check_batch_size(options.batch_size, num_images),
        posterior=options.posterior,
        final=options.final,
        conditional=condition is not None,
        explicit_noise=noise is not None,
        inpaints=known is not None,
        return_trajectory=bool(return_trajectory),
    )
    checks.check_choice("posterior", options.posterior, POSTERIORS)
    checks.check_choice("final", options.final, FINALS)
    temperature = checks.check_number("temperature", options.temperature, 0.0, exclusive=True)
    guidance_scale = checks.check_number("guidance_scale", options.guidance_scale, 0.0)
    if guidance_scale > 0 and condition is None:
        raise checks.error(
            "guidance_scale",
            f"{guidance_scale} without a condition",
            "0 for an unconditional sample",
            "use a conditional model with its labels, or guidance_scale=0",
        )
    if noise is not None:
        noise_shape = (settings.num_steps + 1, num_images, *model.code_shape)
        noise = _check_noise(noise, noise_shape, options.seed)
    inputs = [] if condition is None else [(condition, 0)]
    inputs += [] if noise is None else [(noise, 1)]
    inputs += [] if known is None else [(part, 0) for part in known]
    return SamplingPlan(
        settings=settings,
        num_images=num_images,
        seed=bld_random.resolve_seed(options.seed),
        temperature=temperature,
        guidance_scale=guidance_scale,
        inputs=tuple(inputs),
        condition=condition,
        progress=options.progress,
    )


def check_num_steps(model, num_steps):
    """Return the number of sampling steps, T for None; raise ValueError where it is bad."""
    steps = len(model.schedule.sampling_steps(num_steps))
    if steps != model.num_steps and not model.can_skip_steps:
        raise checks.error(
            "num_steps",
            f"{steps}",
            f"{model.num_steps}, all steps of a model that can skip none",
            "leave num_steps out, or take a BinaryLatentDiffusion with target='residual' or 'z0'",
        )
    return steps


def check_batch_size(batch_size, num_images):
    """Return the size of a compiled batch; None: equal batches of at most 32."""
    if batch_size is None:
        # Equal batches, so that little of the last one is padding.
        return math.ceil(num_images / math.ceil(num_images / _DEFAULT_BATCH_SIZE))
    return checks.check_integer("batch_size", batch_size, 1)


def condition_of(model, options, num_samples):
    """Return the checked condition of the options, one row for each sample, or None."""
    if options.drop_condition:
        return None
    labels, text_embeddings = options.labels, options.text_embeddings
    if model.denoiser.condition_kind in ("token", "cross_attention"):
        if labels is not None:
            raise checks.error(
                "labels", "labels", "text_embeddings", "the model is conditioned on text"
            )
        return check_condition(model.denoiser, text_embeddings, num_samples)
    if text_embeddings is not None:
        raise checks.error(
            "text_embeddings",
            "text embeddings",
            "none",
            "leave them out, the model is not conditioned on text",
        )
    return check_condition(model.denoiser, labels, num_samples)


def _check_noise(noise, shape, seed):
    noise = np.asarray(noise, "float32")
    if seed is not None:
        raise checks.error("noise", "noise and a seed", "one of them", "leave one out")
    if noise.shape != shape:
        raise checks.error(
            "noise", f"shape {noise.shape}", f"shape {shape}", "give one draw per state"
        )
    if not (noise.min() >= 0.0 and noise.max() < 1.0):
        raise checks.error(
            "noise",
            f"values from {noise.min()} to {noise.max()}",
            "uniforms in [0, 1)",
            "draw with numpy's Generator.random",
        )
    return noise
