"""Stage 2: the trainable Bernoulli diffusion over codes."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks, replicas
from keras_bld.base import random as bld_random
from keras_bld.diffusion.code_prior import CodePrior
from keras_bld.diffusion.inpainting import code_mask, composite, pixel_mask
from keras_bld.diffusion.interpolation import check_pairs, falling_from, interpolation
from keras_bld.diffusion.likelihood import Likelihood
from keras_bld.diffusion.method_options import takes_sampling_options
from keras_bld.diffusion.objective import NATS_PER_BIT, diffusion_losses
from keras_bld.diffusion.reverse_step import flip_predictor
from keras_bld.diffusion.sampler import reverse_chain
from keras_bld.diffusion.sampling import (
    check_batch_size,
    condition_of,
    plan_sampling,
    sampling_of,
)
from keras_bld.diffusion.signal_levels import LEARNED, FixedLevels
from keras_bld.diffusion.targets import find_target

LOSS_WEIGHTINGS = ("uniform", "time")


@keras.saving.register_keras_serializable("keras_bld")
class BinaryLatentDiffusion(CodePrior):
    """A generative model: a Bernoulli diffusion over the binary codes of an autoencoder.

    Trains with `compile(optimizer)` and `fit`; the loss is BCE on `target` plus `vlb_weight` times
    the exact variational bound (paper, Eq. 12-13, Algorithm 1). Samples with `generate`
    (Algorithm 2), fills holes with `inpaint`, measures with `likelihood`. For an exponential
    moving average of the weights pass an optimizer with `use_ema=True`: Keras keeps the average
    and puts it in place at the end of `fit`.

    Source: Wang et al., "Binary Latent Diffusion" (CVPR 2023), Sec. 4.

    Args:
        denoiser: a `BernoulliDenoiser`.
        schedule: a `BernoulliNoiseSchedule` with the denoiser's `num_training_steps`.
        autoencoder: as in `CodePrior`.
        target: what the denoiser's logits mean, a name of `diffusion.targets.TARGETS`: "residual"
            (z^t XOR z^0, the paper's), "z0", "extrinsic" (z^0 as the rest of z^t has it; what a
            bit's own z^t says is added exactly; learns faster), or "previous" (z^{t-1}; trained by
            the bound alone and sampled with all T steps).
        vlb_weight: lambda of Eq. 13, >= 0.
        label_dropout: as in `CodePrior`.
        loss_weighting: "uniform", or "time": each sample weighs 1 - (t - 1) / T (published).
        sampling: `Sampling` of `generate` and its relatives, as in `CodePrior`.
        class_names: as in `CodePrior`.

    Raises:
        ValueError: parts that do not fit together; bad images, codes or labels.

    Example:

    >>> import keras, keras_bld, numpy as np
    >>> model = keras_bld.BinaryLatentDiffusion(
    ...     keras_bld.BernoulliDenoiser(
    ...         (4, 4, 8), depth=1, width=32, num_heads=2, num_training_steps=8
    ...     ),
    ...     keras_bld.BernoulliNoiseSchedule(8),
    ... )
    >>> model.compile(keras.optimizers.Adam(1e-3))
    >>> codes = np.random.default_rng(0).integers(0, 2, (16, 4, 4, 8))
    >>> history = model.fit(codes, epochs=1, verbose=0)
    >>> model.generate_codes(2, num_steps=4, seed=0).shape
    (2, 4, 4, 8)
    """

    def __init__(
        self,
        denoiser,
        schedule,
        autoencoder=None,
        target="residual",
        vlb_weight=0.1,
        label_dropout=0.1,
        loss_weighting="uniform",
        sampling=None,
        class_names=None,
        **kwargs,
    ):
        super().__init__(denoiser, autoencoder, label_dropout, sampling, class_names, **kwargs)
        if schedule.num_training_steps != denoiser.num_training_steps:
            raise checks.error(
                "schedule",
                f"a schedule of {schedule.num_training_steps} steps and a denoiser of"
                f" {denoiser.num_training_steps}",
                "the same num_training_steps in both",
                "build both with the same number (sampling may still use fewer)",
            )
        if schedule.learned is not None and not find_target(target).predicts_code:
            raise checks.error(
                "schedule",
                f"kind={LEARNED!r} with target {target!r}",
                "a target that predicts z^0: what other steps would cost follows from that",
                "take another target, or another kind of schedule",
            )
        find_target(target)
        checks.check_choice("loss_weighting", loss_weighting, LOSS_WEIGHTINGS)
        self.schedule = schedule
        self.target = target
        self.vlb_weight = checks.check_number("vlb_weight", vlb_weight, 0.0)
        self.loss_weighting = loss_weighting
        self.time_grid(self.sampling)  # raises where it does not fit T and the target

    def facts(self):
        return [*super().facts(), f"target {self.target}"]

    def output_shapes(self):
        return [*super().output_shapes(), (self.schedule, (None, *self.code_shape))]

    @property
    def can_skip_steps(self):
        """Whether sampling may take fewer than T steps; with the target "previous" it may not."""
        return find_target(self.target).can_skip_steps

    @property
    def can_redraw(self):
        """Whether `kappa` and `corrector_steps` mean something: the target predicts z^0."""
        return find_target(self.target).predicts_code

    # Training ------------------------------------------------------------------------------

    def corrupt(self, codes, time_steps):
        """Diffuse to the time steps (Eq. 5)."""
        uniforms = replicas.uniform(ops.shape(codes), self.seed_generator)
        return {"noisy_codes": self.schedule(codes, time_steps, uniforms)}

    def loss_terms(self, outputs):
        """BCE + vlb_weight * bound (Eq. 13) of each sample."""
        time_steps = outputs["time_steps"]
        terms = self._step_losses(outputs, outputs["logits"])
        loss = find_target(self.target).loss(terms["bce"], terms["vlb"], self.vlb_weight)
        if self.loss_weighting == "time":
            share = (ops.cast(time_steps, "float32") - 1.0) / self.num_training_steps
            loss = loss * (1.0 - share)
        return {
            "loss": loss,
            "bce": terms["bce"],
            "vlb": terms["vlb"],
            # The mean over random t of the bound's terms, times T, estimates the whole bound.
            "bits_per_dimension": terms["vlb"] * (self.num_training_steps / NATS_PER_BIT),
            "accuracy": terms["accuracy"],
        }

    def learn_from(self, outputs, found):
        """Take the costs of a batch into a learned schedule."""
        if self.schedule.learns:
            learned, logits = self.schedule.learned, ops.stop_gradient(outputs["logits"])
            longer = self._step_losses(outputs, logits, learned.stride)["vlb"]
            learned.update(outputs["time_steps"], found["vlb"], longer)

    def _step_losses(self, outputs, logits, stride=1):
        """`diffusion_losses` of the steps t -> max(t - stride, 0)."""
        time_steps = outputs["time_steps"]
        return diffusion_losses(
            logits,
            outputs["codes"],
            outputs["noisy_codes"],
            ops.maximum(time_steps - stride, 0) + 1,
            self.schedule.transitions(time_steps, stride),
            self.target,
            channel=self.schedule.channel_log_odds(time_steps),
        )

    # Sampling ------------------------------------------------------------------------------

    def sampler_constants(self):
        """The signal levels, where training moves them."""
        return None if self.schedule.learned is None else self.schedule.k.tobytes()

    def start(self, draw, batch_size):
        """z^T: coin flips."""
        return ops.cast(draw(0) < 0.5, "float32")

    def make_step(self, sampling, logits_of, draw, known=None):
        """The reverse step (Eq. 8-9); `known` is a pair (codes, mask), see `reverse_step`."""
        levels = FixedLevels(self.schedule.k)
        return reverse_chain(
            flip_predictor(
                logits_of, self.target, levels, sampling.temperature, sampling.tempering
            ),
            draw,
            levels,
            sampling.time_steps,
            self.target,
            sampling.posterior,
            sampling.final,
            known,
            sampling.known_bits,
            kappa=sampling.kappa,
            corrector_steps=sampling.corrector_steps,
            corrector_share=sampling.corrector_share,
        )

    @takes_sampling_options
    def generate_codes(
        self,
        num_images: int,
        labels: Any = None,
        noise: Any = None,
        return_trajectory: bool = False,
        **options: Any,
    ) -> np.ndarray:
        """Make new codes.

        Args:
            num_images: how many.
            labels: as in `generate`.
            noise: explicit uniforms in [0, 1) of shape (num_steps + 1, num_images, h, w, c) for an
                exact replay; noise[0] draws z^T and noise[i] the state after step i; each redraw
                of `corrector_steps` is a step of its own. Not together with `seed`.
            return_trajectory: return all states z^T ... z^0.
            **options: the options below.

        Returns:
            float32 array {0, 1} of shape (num_images, h, w, c); with `return_trajectory`
            (num_steps + 1, num_images, h, w, c).

        Raises:
            ValueError: as `generate`; noise of the wrong shape or range.
        """
        plan = plan_sampling(
            self, num_images, labels, noise=noise, return_trajectory=return_trajectory, **options
        )
        return self.code_array(plan)

    @takes_sampling_options
    def inpaint(
        self,
        images: Any,
        mask: Any,
        labels: Any = None,
        num_results: int | None = None,
        **options: Any,
    ) -> np.ndarray:
        """Fill the masked part of images; the rest comes back exactly.

        The bits of a cell that holds no masked pixel are known and clamped at every step to the
        image's own code, diffused to that step's noise; all other bits are generated. Known pixels
        are copied from the image.

        Args:
            images: (batch, height, width, channels), uint8 or floating point in [0, 1].
            mask: 1 or True where new content goes, 0 where the image stays: pixels (height, width)
                or code cells (h, w), for all images or with a leading batch axis.
            labels: one class for each image, or one for all, as in `generate`.
            num_results: None for one result an image, or a number of diverse results.
            **options: the options below; `text_embeddings` has one row for each image.

        Returns:
            float32 array: (batch, height, width, channels), or with `num_results`
            (batch, num_results, height, width, channels).

        Raises:
            ValueError: bad images, a mask of the wrong shape or with values other than 0 and 1.
        """
        self._need_autoencoder("inpaint")
        image_shape = tuple(self.autoencoder.image_shape)
        images = checks.check_images(np.asarray(images), image_shape)
        pixels = pixel_mask(mask, len(images), image_shape, self.code_shape)
        repeats = 1 if num_results is None else checks.check_integer("num_results", num_results, 1)
        texts, dropped = options.pop("text_embeddings", None), options.pop("drop_condition", False)
        condition = condition_of(self, len(images), labels, texts, dropped)
        known = (self.autoencoder.encode(images), 1.0 - code_mask(pixels, self.code_shape))
        plan = plan_sampling(
            self,
            len(images) * repeats,
            condition=None if condition is None else np.repeat(condition, repeats, axis=0),
            known=[np.repeat(part, repeats, axis=0) for part in known],
            drop_condition=condition is None,
            purpose="inpaint",
            **options,
        )
        made = self.image_array(plan).reshape(len(images), repeats, *image_shape)
        results = composite(images[:, None], made, pixels[:, None])
        return results[:, 0] if num_results is None else results

    @takes_sampling_options
    def interpolate(
        self,
        images_a: Any,
        images_b: Any,
        num_frames: int = 8,
        noise_level: float = 0.5,
        labels: Any = None,
        **options: Any,
    ) -> np.ndarray:
        """Pictures on the way from images to other images, through their codes.

        The bits in which two codes differ flip one after the other, in an order that the seed
        draws. As the middle of this way is no code of an image, its frames are diffused to the
        time step `noise_level` * T and denoised again, all with the same noise: those in the
        middle wholly, those towards the ends in fewer and fewer bits. First and last frame are
        the reconstructions of the images.

        Args:
            images_a, images_b: (batch, height, width, channels), uint8 or floating point in
                [0, 1].
            num_frames: pictures for each pair, >= 2, ends included.
            noise_level: share of T in [0, 1]; 0 flips bits alone, higher values bring the middle
                closer to what the model makes, and further from the two images.
            labels: one class for each pair, or one for all; None (and no `text_embeddings`)
                denoises a conditional model without its condition.
            **options: the options below.

        Returns:
            float32 array in [0, 1] of shape (batch, num_frames, height, width, channels).

        Raises:
            ValueError: bad images, numbers of images that differ, `num_frames` or `noise_level`
                out of range; a `noise_level` above 0 for a model that can skip no steps.

        Example:

        >>> frames = model.interpolate(images[:1], images[1:2], seed=0)  # doctest: +SKIP
        >>> keras_bld.show(frames[0], columns=8)  # doctest: +SKIP
        """
        self._need_autoencoder("interpolate")
        image_shape = tuple(self.autoencoder.image_shape)
        num_frames = checks.check_integer("num_frames", num_frames, 2)
        noise_level = checks.check_number("noise_level", noise_level, 0.0, maximum=1.0)
        if noise_level and not self.can_skip_steps:
            raise checks.error(
                "noise_level",
                f"{noise_level} for a model that can skip no steps",
                "0: bits flip, and nothing is denoised",
                "pass noise_level=0",
            )
        first, second = [
            self.autoencoder.encode(images)
            for images in check_pairs(images_a, images_b, image_shape)
        ]
        num_pairs = len(first)
        texts = options.pop("text_embeddings", None)
        dropped = options.pop("drop_condition", False) or (labels is None and texts is None)
        condition = condition_of(self, num_pairs, labels, texts, dropped)
        grid = self.time_grid(sampling_of(self, options))
        grid = falling_from(grid, noise_level, self.num_training_steps)
        seed = bld_random.resolve_seed(options.pop("seed", None))
        frames = interpolation(first, second, num_frames, seed, self.schedule.k[grid[0]])
        if not noise_level:
            made = self._decode_with(options.get("decoder", "full"), frames["codes"])
            return made.reshape(num_pairs, num_frames, *image_shape)
        plan = plan_sampling(
            self,
            num_pairs * num_frames,
            condition=None if condition is None else np.repeat(condition, num_frames, axis=0),
            known=(frames["codes"], frames["known"]),
            start_codes=frames["noisy_codes"],
            indices=np.repeat(np.arange(num_pairs, dtype="int32"), num_frames),
            drop_condition=condition is None,
            purpose="interpolate",
            seed=seed,
            # The start has the noise of its step in every bit; so have the frames after it.
            **{"known_bits": "noised", **options, "num_steps": None, "time_steps": grid},
        )
        return self.image_array(plan).reshape(num_pairs, num_frames, *image_shape)

    def likelihood(
        self,
        codes,
        labels=None,
        num_samples=1,
        seed=0,
        batch_size=None,
        text_embeddings=None,
        drop_condition=False,
        progress=True,
    ):
        """The full variational bound of codes (Eq. 7), every t visited.

        Args:
            codes: z^0 in {0, 1}, shape (batch, h, w, c).
            labels: condition of a class-conditional model.
            num_samples: noise draws for each t.
            seed: int.
            batch_size: codes in one compiled batch.
            text_embeddings: condition of a text-conditional model.
            drop_condition: measure a conditional model without its condition.
            progress: show a progress bar once it takes over 2 seconds.

        Returns:
            Dictionary: `bits_per_dimension` (batch,), an upper bound on -log2 p(code) / number of
            bits; `bits_per_image` (batch,), the same times the number of bits; and `profile`
            (T + 1,), the mean bits per dimension of L_T and of the terms of t = 1 ... T.

        Raises:
            ValueError: codes that are not binary, missing or surplus labels.
        """
        codes = checks.check_codes(np.asarray(codes), self.code_shape)
        return Likelihood(self)(
            codes,
            condition_of(self, len(codes), labels, text_embeddings, drop_condition),
            checks.check_integer("num_samples", num_samples, 1),
            bld_random.resolve_seed(seed),
            check_batch_size(batch_size, len(codes)),
            progress,
        )

    # Saving and serving --------------------------------------------------------------------

    _parts = ("denoiser", "schedule", "autoencoder")

    def get_config(self):
        return {
            **super().get_config(),
            "target": self.target,
            "vlb_weight": self.vlb_weight,
            "loss_weighting": self.loss_weighting,
        }

    def generating_parts(self):
        return [self.target, list(self.code_shape)], [self.denoiser, self.schedule]

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=False,
        **options,
    ):
        """Write the functions `generate`, `inpaint`, `encode` and `decode` for serving.

        Args:
            filepath: directory to write.
            format: "tf_saved_model", "openvino", "onnx" or "litert".
            verbose: print sizes, times, and the share of values that differ from this model's.
            **options: of `keras_bld.serving.export_model`, such as `batch_size` and `weights`, and
                fields of `Sampling`; left out, the model's own. (Temperature and guidance scale
                are inputs of the exported functions.)

        Returns:
            The directory as a `pathlib.Path`.
        """
        from keras_bld.serving import export_model

        return export_model(self, filepath, format, verbose=verbose, **options)
