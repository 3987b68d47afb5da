"""Sampler settings as one value, and the plan of a call of `generate` and its relatives."""

import dataclasses
import difflib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from keras_bld.base import checks
from keras_bld.base.class_names import labels_of
from keras_bld.diffusion.conditioning import check_condition
from keras_bld.diffusion.posterior import POSTERIORS

FINALS = ("threshold", "sample")
TEMPERINGS = ("logits", "extrinsic")
KNOWN_BITS = ("clean", "noised")
if TYPE_CHECKING:  # checkers know no Literal of a table's names: to them they are texts
    Posterior = str
    Final = str
    Tempering = str
    KnownBits = str
else:
    Posterior, Final, Tempering = Literal[*POSTERIORS], Literal[*FINALS], Literal[*TEMPERINGS]
    KnownBits = Literal[*KNOWN_BITS]
_DEFAULT_BATCH_SIZE = 32
# How models sampled whose settings name no `tempering`, for they are older than it.
_BEFORE_TEMPERING = {"final": "threshold", "tempering": "logits"}
# Of a field that compiled samplers take as an input: a new value never traces again.
_TRACED = {"traced": True}


@dataclass(frozen=True)
class Sampling:
    """How a model samples: an argument of the model, saved with it, held by cards and recipes.

    `generate` and its relatives take each field as an option; left out, the model's own value
    counts. A new option is one field here and its use in the prior's step.

    Args:
        num_steps: S, denoising steps, 1 ... T; None takes all T. Skipping steps is exact.
        time_steps: the time steps to visit, falling, in place of the uniform grid of `num_steps`;
            to replay a published grid. The chain begins with coin flips, so the first is normally
            T.
        temperature: > 0; lower means less diverse.
        tempering: what the temperature divides: "logits", the whole prediction (published), or
            "extrinsic", only what the network adds to it: what a bit's own z^t says of it is
            known exactly and stays as it is, which comes nearer to sampling p^(1 / temperature).
        guidance_scale: w >= 0 of classifier-free guidance; above 0, a step costs one call on a
            doubled batch.
        posterior: "exact" (Eq. 8) or "plug_in" (the published code's).
        final: "sample" (Algorithm 2) or "threshold" (the published code) for the last step.
        kappa: in (0, 1]; below 1, a step forgets z^t with weight 1 - kappa and draws its state anew
            from the predicted z^0 (Psi-samplers). Needs the exact posterior.
        corrector_steps: redraws between two steps, each one call of the network more: some bits
            are drawn anew from what the others say (Gibbs sampling). Needs the exact posterior.
        corrector_share: of the bits, in (0, 1], that a redraw of `corrector_steps` draws anew.
        known_bits: what the network sees of the bits that `inpaint` keeps: "clean" as they are, or
            "noised" like the others of their step.

    Raises:
        ValueError: a value outside its range.

    Example:

    >>> Sampling(num_steps=16).replace(temperature=1.2).temperature
    1.2
    """

    num_steps: int | None = None
    time_steps: tuple[int, ...] | None = None
    temperature: float = field(default=0.9, metadata=_TRACED)
    guidance_scale: float = field(default=0.0, metadata=_TRACED)
    posterior: Posterior = "exact"
    final: Final = "sample"
    tempering: Tempering = "extrinsic"
    kappa: float = 1.0
    corrector_steps: int = 0
    corrector_share: float = 0.3
    known_bits: KnownBits = "clean"

    def __post_init__(self):
        checked = {
            "temperature": checks.check_number(
                "temperature", self.temperature, 0.0, exclusive=True
            ),
            "guidance_scale": checks.check_number("guidance_scale", self.guidance_scale, 0.0),
            **{
                name: checks.check_number(
                    name, getattr(self, name), 0.0, exclusive=True, maximum=1.0
                )
                for name in ("kappa", "corrector_share")
            },
            "corrector_steps": checks.check_integer("corrector_steps", self.corrector_steps, 0),
        }
        checks.check_choice("posterior", self.posterior, POSTERIORS)
        checks.check_choice("final", self.final, FINALS)
        checks.check_choice("tempering", self.tempering, TEMPERINGS)
        checks.check_choice("known_bits", self.known_bits, KNOWN_BITS)
        if self.posterior != "exact" and (self.kappa < 1 or self.corrector_steps):
            raise checks.error(
                "posterior",
                f"{self.posterior!r} with kappa={self.kappa} and"
                f" corrector_steps={self.corrector_steps}",
                "the exact posterior for kappa below 1 or corrector_steps above 0",
                'pass posterior="exact", or leave the other two out',
            )
        if self.num_steps is not None:
            checked["num_steps"] = checks.check_integer("num_steps", self.num_steps, 1)
        if self.time_steps is not None:
            steps = [checks.check_integer("time_steps", step, 1) for step in self.time_steps]
            checked["time_steps"] = tuple(steps)
            if not steps or sorted(set(steps), reverse=True) != steps:
                raise checks.error(
                    "time_steps", f"{steps}", "one or more time steps, falling", "sort them"
                )
            if self.num_steps not in (None, len(steps)):
                raise checks.error(
                    "num_steps",
                    f"{self.num_steps} with {len(steps)} time_steps",
                    "one of them",
                    "leave num_steps out: time_steps says which and how many",
                )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, value):
        """Return a `Sampling`: the value itself, one of its `to_dict`, or the defaults for None."""
        if value is None:
            return cls()
        if isinstance(value, dict):
            # JSON has lists, and Keras writes tuples as dictionaries of their items.
            steps = value.get("time_steps")
            steps = steps["items"] if isinstance(steps, dict) else steps
            given = {**value, "time_steps": None if steps is None else tuple(steps)}
            return cls(**{**_BEFORE_TEMPERING, **given})
        if not isinstance(value, Sampling):
            raise checks.error(
                "sampling",
                repr(value),
                f"a {cls.__name__} or None",
                f"pass {cls.__name__}(num_steps=16, ...)",
                kind=TypeError,
            )
        # A subclass has more fields: those of the plain settings keep their defaults.
        return value if isinstance(value, cls) else cls(**value.to_dict())

    def to_dict(self):
        """The fields as values that JSON has."""
        steps = None if self.time_steps is None else list(self.time_steps)
        return {**dataclasses.asdict(self), "time_steps": steps}

    def replace(self, **given):
        """The same with other values; None leaves a field as it is.

        `num_steps` and `time_steps` take each other's place.
        """
        given = {name: value for name, value in given.items() if value is not None}
        if "num_steps" in given or "time_steps" in given:
            given = {"num_steps": None, "time_steps": None, **given}
        return dataclasses.replace(self, **given)

    def num_calls(self, num_steps):
        """Calls of the network, doubled ones once, of a chain with so many steps."""
        return num_steps + (num_steps - 1) * self.corrector_steps

    def split(self):
        """(names and values that a compiled sampler depends on, those that are its inputs)."""
        fixed, traced = {}, {}
        for entry in dataclasses.fields(self):
            part = traced if entry.metadata.get("traced") else fixed
            part[entry.name] = getattr(self, entry.name)
        return fixed, traced


# Fields that came later, with the values that change nothing: what older versions kept lacks them.
LATER_FIELDS = {
    name: getattr(Sampling(), name)
    for name in ("kappa", "corrector_steps", "corrector_share", "known_bits")
}
# Fields of which a sweep tries several values. time_steps takes the place of num_steps: a list of
# values would be a list of grids. known_bits is of inpainting, which a sweep does not measure.
AXES = tuple(
    entry.name
    for entry in dataclasses.fields(Sampling)
    if entry.name not in ("time_steps", "known_bits")
)


def check_can_skip_steps(model):
    """Raise ValueError for a model that samples in all T steps alone."""
    if not model.can_skip_steps:
        raise checks.error(
            "model",
            "a model that can skip no steps",
            "one that predicts z^0",
            "take a BinaryLatentDiffusion with another target",
        )


def uniform_grid(num_training_steps, num_steps=None):
    """The falling grid of time steps that a sampler with `num_steps` steps visits.

    t = floor(linspace(0, 1, S) * (T - 1)) + 1 in exact integer arithmetic. One step starts at T,
    because the chain starts from coin flips (the formula would give t = 1).

    Args:
        num_training_steps: T.
        num_steps: S in 1 ... T; None takes all T.

    Returns:
        int array of shape (num_steps,), from T down to 1.

    Raises:
        ValueError: `num_steps` is not in 1 ... T.
    """
    total = num_training_steps
    num_steps = total if num_steps is None else num_steps
    num_steps = checks.check_integer("num_steps", num_steps, 1, total)
    if num_steps == 1:
        return np.array([total])
    grid = np.arange(num_steps) * (total - 1) // (num_steps - 1) + 1
    return grid[::-1].copy()


@dataclass(frozen=True)
class CallOptions:
    """What a call says beside the number of images and the fields of `Sampling`.

    Args:
        sampling: a `Sampling` in place of the model's own.
        seed: int in [0, 2**31); the same seed gives the same images on every backend, image i
            whatever the batch size. None draws one.
        batch_size: images in one compiled batch; None: at most 32.
        progress: show a progress bar, in a terminal or a notebook, once it takes over 2 seconds.
        text_embeddings: for a text-conditional model, (num_images, text_width) or
            (num_images, length, text_width).
        drop_condition: sample a conditional model without its condition.
        decoder: "full", or "small" for the quick one of an autoencoder that has it
            (`distill_decoder`); of no account where codes are asked for.
    """

    sampling: Sampling | None = None
    seed: int | None = None
    batch_size: int | None = None
    progress: bool = True
    text_embeddings: object = None
    drop_condition: bool = False
    decoder: str = "full"


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """Checked inputs of the sampling loop for images 0 ... num_images - 1."""

    sampling: Sampling
    num_images: int
    batch_size: int
    seed: int
    inputs: dict
    """Name -> (array, the axis along which images lie) of what the loop gets beside scalars."""
    progress: bool = False
    return_trajectory: bool = False
    decoder: str = "full"
    purpose: str = "generate"
    """What the progress bar calls it."""

    @property
    def condition(self):
        """The checked condition with one row an image, or None."""
        return self.inputs.get("condition", (None,))[0]


def plan_sampling(
    model,
    num_images,
    labels=None,
    condition=None,
    noise=None,
    known=None,
    start_codes=None,
    indices=None,
    return_trajectory=False,
    purpose="generate",
    **options,
):
    """Check everything that a call asks for and return its `SamplingPlan`.

    Args:
        model: a `CodePrior`.
        num_images: how many.
        labels: one class for each image, or one for all.
        condition: a checked condition with one row an image, in place of the labels or texts.
        noise: explicit uniforms, see `generate_codes`.
        known: pair (codes, mask), each with one row an image, see `reverse_step`.
        start_codes: the states that the chain begins with, one row an image; None: coin flips.
        indices: int32, whose noise each image gets; None: its own.
        return_trajectory: whether all states come back.
        purpose: what the progress bar calls it.
        options: fields of `CallOptions` and of the model's `Sampling`.

    Raises:
        ValueError: an argument outside its range, or a condition that does not fit the model.
        TypeError: an option that does not exist.
    """
    from keras_bld.base.random import resolve_seed  # settings are known without Keras

    num_images = checks.check_integer("num_images", num_images, 1)
    call, sampling, overrides = _read_options(model, options)
    if call.decoder != "full" and hasattr(model.autoencoder, "check_decoder"):
        model.autoencoder.check_decoder(call.decoder)
    if condition is None:
        condition = condition_of(
            model, num_images, labels, call.text_embeddings, call.drop_condition
        )
    if condition is None and sampling.guidance_scale > 0:
        if overrides.get("guidance_scale"):
            raise checks.error(
                "guidance_scale",
                f"{sampling.guidance_scale} without a condition",
                "0 for an unconditional sample",
                "use a conditional model with its labels, or guidance_scale=0",
            )
        sampling = sampling.replace(guidance_scale=0.0)  # the model's own, for other calls
    num_calls = sampling.num_calls(len(model.time_grid(sampling)))
    inputs = {} if condition is None else {"condition": (condition, 0)}
    if noise is not None:
        noise_shape = (num_calls + 1, num_images, *model.code_shape)
        inputs["noise"] = (_check_noise(noise, noise_shape, call.seed), 1)
    for name, array in (("start_codes", start_codes), ("indices", indices)):
        if array is not None:
            inputs[name] = (array, 0)
    if known is not None:
        names = ("known_codes", "known_mask")
        inputs |= {name: (part, 0) for name, part in zip(names, known, strict=True)}
    return SamplingPlan(
        sampling=sampling,
        num_images=num_images,
        batch_size=check_batch_size(call.batch_size, num_images),
        seed=resolve_seed(call.seed),
        inputs=inputs,
        progress=call.progress,
        return_trajectory=bool(return_trajectory),
        decoder=call.decoder,
        purpose=purpose,
    )


def sampling_of(model, options):
    """The `Sampling` of a call with these options of `plan_sampling`."""
    return _read_options(model, options)[1]


def _read_options(model, options):
    """(`CallOptions`, the `Sampling`, the fields of it that the call gives)."""
    kinds = [
        {entry.name for entry in dataclasses.fields(kind)} for kind in (CallOptions, model.sampling)
    ]
    for name in options:
        if not any(name in kind for kind in kinds):
            accepted = sorted(set.union(*kinds))
            similar = difflib.get_close_matches(name, accepted, n=1)
            raise checks.error(
                name,
                "an option that does not exist",
                ", ".join(accepted),
                f"did you mean {similar[0]}?" if similar else "pass one of these",
                kind=TypeError,
            )
    call, overrides = (
        {name: value for name, value in options.items() if name in kind} for kind in kinds
    )
    call = CallOptions(**call)
    sampling = model.sampling_class.of(call.sampling or model.sampling).replace(**overrides)
    return call, sampling, overrides


def check_batch_size(batch_size, num_images):
    """Return the size of a compiled batch; None: equal batches of at most 32."""
    if batch_size is None:
        # Equal batches, so that little of the last one is padding.
        return math.ceil(num_images / math.ceil(num_images / _DEFAULT_BATCH_SIZE))
    return checks.check_integer("batch_size", batch_size, 1)


def condition_of(model, num_samples, labels=None, text_embeddings=None, drop_condition=False):
    """Return the checked condition of a call, one row for each sample, or None."""
    if drop_condition:
        return None
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
    if model.denoiser.condition_kind == "class" and labels is not None:
        labels = labels_of(labels, model.class_names, model.denoiser.num_classes)
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
