"""Sampling methods of `BinaryLatentDiffusion`: one compiled loop each, fed batch by batch."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_bld import checks
from keras_bld import random as bld_random
from keras_bld.backend import compile_function
from keras_bld.diffusion.conditioning import check_condition
from keras_bld.diffusion.inpainting import code_mask, composite, pixel_mask
from keras_bld.diffusion.likelihood import Likelihood
from keras_bld.diffusion.posterior import POSTERIORS
from keras_bld.diffusion.sampler import FINALS, guided_flip_predictor, sample_chain

_DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True)
class SamplerSettings:
    """What a compiled sampler depends on; all else is an input of it."""

    num_steps: int
    batch_size: int
    posterior: str
    final: str
    conditional: bool
    explicit_noise: bool = False
    inpaints: bool = False
    return_trajectory: bool = False


class Generation:
    """Mixin: `generate`, `generate_batches`, `generate_codes`, `inpaint`, `likelihood`."""

    def _prepare_generation(self):
        self._compiled_samplers = {}
        # Set by `compile_for_inference`: has `sampler(settings)` and `num_traces`.
        self._inference_engine = None

    def generate(
        self,
        num_images,
        labels=None,
        num_steps=None,
        temperature=0.9,
        guidance_scale=0.0,
        posterior="exact",
        final="threshold",
        seed=None,
        batch_size=None,
        progress=False,
        text_embeddings=None,
        drop_condition=False,
    ):
        """Make new images (Algorithm 2).

        Args:
            num_images: how many, >= 1.
            labels: for a class-conditional model, one class for each image, or one for all.
            num_steps: denoising steps, 1 ... T; None takes all T. Fewer steps skip exactly.
            temperature: divides the logits, > 0; lower means less diverse.
            guidance_scale: w >= 0 of classifier-free guidance; above 0, a step costs one call on a
                doubled batch.
            posterior: "exact" (Eq. 8) or "plug_in" (the published code's).
            final: "threshold" or "sample" for the last step.
            seed: int in [0, 2**31); the same seed gives the same images on every backend, image i
                whatever the batch size. None draws one.
            batch_size: images in one compiled batch; None: at most 32.
            progress: show a progress bar.
            text_embeddings: for a text-conditional model, (num_images, text_width) or
                (num_images, length, text_width).
            drop_condition: sample a conditional model without its condition.

        Returns:
            float32 array in [0, 1] of shape (num_images, height, width, channels).

        Raises:
            ValueError: an argument outside its range, or labels that do not fit the model.
        """
        batches = self.generate_batches(
            num_images,
            labels=labels,
            num_steps=num_steps,
            temperature=temperature,
            guidance_scale=guidance_scale,
            posterior=posterior,
            final=final,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
            text_embeddings=text_embeddings,
            drop_condition=drop_condition,
        )
        return np.concatenate(list(batches), axis=0)

    def generate_batches(self, num_images, **settings):
        """Like `generate`, but an iterator of image batches: constant memory for any number."""
        self._need_autoencoder("generate")
        # Codes start now, so that bad arguments raise here and not at the first `next`.
        codes = self._code_batches(num_images, **settings)
        return (self.autoencoder.decode(batch) for batch in codes)

    def generate_codes(
        self,
        num_images,
        labels=None,
        num_steps=None,
        temperature=0.9,
        guidance_scale=0.0,
        posterior="exact",
        final="threshold",
        seed=None,
        batch_size=None,
        progress=False,
        text_embeddings=None,
        drop_condition=False,
        noise=None,
        return_trajectory=False,
    ):
        """Make new codes; the arguments are those of `generate`, and two more.

        Args:
            num_images: how many.
            labels: see `generate`, as all arguments not named here.
            num_steps: steps.
            temperature: divides the logits.
            guidance_scale: w >= 0.
            posterior: "exact" or "plug_in".
            final: "threshold" or "sample".
            seed: int, not together with `noise`.
            batch_size: codes in one compiled batch.
            progress: show a progress bar.
            text_embeddings: text condition.
            drop_condition: sample without the condition.
            noise: explicit uniforms in [0, 1) of shape (num_steps + 1, num_images, h, w, c) for an
                exact replay; noise[0] draws z^T and noise[i] the state after step i.
            return_trajectory: return all states z^T ... z^0.

        Returns:
            float32 array {0, 1} of shape (num_images, h, w, c); with `return_trajectory`
            (num_steps + 1, num_images, h, w, c).

        Raises:
            ValueError: as `generate`; noise of the wrong shape or range.
        """
        batches = self._code_batches(
            num_images,
            labels=labels,
            num_steps=num_steps,
            temperature=temperature,
            guidance_scale=guidance_scale,
            posterior=posterior,
            final=final,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
            text_embeddings=text_embeddings,
            drop_condition=drop_condition,
            noise=noise,
            return_trajectory=return_trajectory,
        )
        return np.concatenate(list(batches), axis=1 if return_trajectory else 0)

    def inpaint(
        self,
        images,
        mask,
        labels=None,
        num_results=None,
        num_steps=None,
        temperature=0.9,
        guidance_scale=0.0,
        posterior="exact",
        final="threshold",
        seed=None,
        batch_size=None,
        text_embeddings=None,
        drop_condition=False,
    ):
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
            num_steps: as in `generate`.
            temperature: as in `generate`.
            guidance_scale: as in `generate`.
            posterior: as in `generate`.
            final: as in `generate`.
            seed: as in `generate`.
            batch_size: as in `generate`.
            text_embeddings: as in `generate`, one for each image.
            drop_condition: as in `generate`.

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
        condition = self._condition(labels, text_embeddings, len(images), drop_condition)
        known = (self.autoencoder.encode(images), 1.0 - code_mask(pixels, self.code_shape))
        batches = self._code_batches(
            len(images) * repeats,
            condition=None if condition is None else np.repeat(condition, repeats, axis=0),
            known=[np.repeat(part, repeats, axis=0) for part in known],
            num_steps=num_steps,
            temperature=temperature,
            guidance_scale=guidance_scale,
            posterior=posterior,
            final=final,
            seed=seed,
            batch_size=batch_size,
            drop_condition=drop_condition,
        )
        made = np.concatenate([self.autoencoder.decode(codes) for codes in batches], axis=0)
        made = made.reshape(len(images), repeats, *image_shape)
        results = composite(images[:, None], made, pixels[:, None])
        return results[:, 0] if num_results is None else results

    def likelihood(
        self,
        codes,
        labels=None,
        num_samples=1,
        seed=0,
        batch_size=None,
        text_embeddings=None,
        drop_condition=False,
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

        Returns:
            Dictionary: `bits_per_dimension` (batch,), an upper bound on -log2 p(code) / number of
            bits; `bits_per_image` (batch,), the same times the number of bits; and `profile`
            (T + 1,), the mean bits per dimension of L_T and of the terms of t = 1 ... T.

        Raises:
            ValueError: codes that are not binary, missing or surplus labels.
        """
        codes = checks.check_codes(np.asarray(codes), self.code_shape)
        condition = self._condition(labels, text_embeddings, len(codes), drop_condition)
        return Likelihood(self)(
            codes,
            condition,
            checks.check_integer("num_samples", num_samples, 1),
            bld_random.resolve_seed(seed),
            _batch_size(batch_size, len(codes)),
        )

    # The compiled loop ---------------------------------------------------------------------

    def sampler_function(self, settings):
        """The pure sampling function of `settings`, to be compiled here or exported.

        Returns:
            Callable of tensors (seed, first_index, temperature, guidance_scale, *rest) -> codes;
            `rest` holds, where `settings` says so: condition, noise, known codes, known mask.
        """
        batch_shape = (settings.batch_size, *self.code_shape)

        def sample(seed, first_index, temperature, guidance_scale, *rest):
            rest = list(rest)
            condition = rest.pop(0) if settings.conditional else None
            explicit = rest.pop(0) if settings.explicit_noise else None
            known = rest if settings.inpaints else None
            indices = first_index + ops.arange(settings.batch_size, dtype="int32")

            def noise(step):
                if explicit is not None:
                    return ops.take(explicit, step, axis=0)
                return bld_random.uniforms(seed, indices, step, self.code_shape)

            return sample_chain(
                guided_flip_predictor(
                    self.denoiser, self.target, temperature, guidance_scale, condition
                ),
                noise,
                self.schedule,
                batch_shape,
                settings.num_steps,
                settings.posterior,
                settings.final,
                direct=self.target == "previous",
                known=known,
                return_trajectory=settings.return_trajectory,
            )

        return sample

    def compiled_sampler(self, settings):
        """The compiled `sampler_function(settings)`, made once, or the inference engine's."""
        if self._inference_engine is not None:
            return self._inference_engine.sampler(settings)
        if settings not in self._compiled_samplers:
            self._compiled_samplers[settings] = compile_function(
                self.sampler_function(settings), lambda: self.denoiser.variables
            )
        return self._compiled_samplers[settings]

    @property
    def num_traces(self):
        """How many times sampling was traced (TensorFlow, JAX) since the model was made."""
        traces = sum(sampler.num_traces for sampler in self._compiled_samplers.values())
        return traces + getattr(self._inference_engine, "num_traces", 0)

    def _code_batches(
        self,
        num_images,
        labels=None,
        num_steps=None,
        temperature=0.9,
        guidance_scale=0.0,
        posterior="exact",
        final="threshold",
        seed=None,
        batch_size=None,
        progress=False,
        text_embeddings=None,
        drop_condition=False,
        noise=None,
        return_trajectory=False,
        condition=None,
        known=None,
    ):
        num_images = checks.check_integer("num_images", num_images, 1)
        if condition is None:
            condition = self._condition(labels, text_embeddings, num_images, drop_condition)
        settings = SamplerSettings(
            num_steps=self.check_num_steps(num_steps),
            batch_size=_batch_size(batch_size, num_images),
            posterior=posterior,
            final=final,
            conditional=condition is not None,
            explicit_noise=noise is not None,
            inpaints=known is not None,
            return_trajectory=bool(return_trajectory),
        )
        checks.check_choice("posterior", posterior, POSTERIORS)
        checks.check_choice("final", final, FINALS)
        temperature = checks.check_number("temperature", temperature, 0.0, exclusive=True)
        guidance_scale = checks.check_number("guidance_scale", guidance_scale, 0.0)
        if guidance_scale > 0 and condition is None:
            raise checks.error(
                "guidance_scale",
                f"{guidance_scale} without a condition",
                "0 for an unconditional sample",
                "use a conditional model with its labels, or guidance_scale=0",
            )
        if noise is not None:
            noise = self._check_noise(noise, settings.num_steps, num_images, seed)
        scalars = (np.float32(temperature), np.float32(guidance_scale))
        seed = np.int32(bld_random.resolve_seed(seed))
        rest = [] if condition is None else [(condition, 0)]
        rest += [] if noise is None else [(noise, 1)]
        rest += [] if known is None else [(part, 0) for part in known]
        return self._run_batches(settings, num_images, seed, scalars, rest, progress)

    def _run_batches(self, settings, num_images, seed, scalars, rest, progress):
        sampler = self.compiled_sampler(settings)
        size = settings.batch_size
        bar = keras.utils.Progbar(num_images, unit_name="image") if progress else None
        for first in range(0, num_images, size):
            count = min(size, num_images - first)
            rows = np.minimum(np.arange(first, first + size), num_images - 1)  # pads the last batch
            parts = [np.take(array, rows, axis=axis) for array, axis in rest]
            codes = ops.convert_to_numpy(sampler(seed, np.int32(first), *scalars, *parts))
            if bar:
                bar.add(count)
            yield codes[:, :count] if settings.return_trajectory else codes[:count]

    # Checks --------------------------------------------------------------------------------

    def check_num_steps(self, num_steps):
        """Return the number of sampling steps, T for None; raise ValueError where it is bad."""
        steps = len(self.schedule.sampling_steps(num_steps))
        if self.target == "previous" and steps != self.num_steps:
            raise checks.error(
                "num_steps",
                f"{steps}",
                f"{self.num_steps} for a model with target='previous'",
                "sample all steps, or train with target='residual' or 'z0' to skip some",
            )
        return steps

    def _condition(self, labels, text_embeddings, num_samples, drop_condition):
        if drop_condition:
            return None
        kind = self.denoiser.condition_kind
        if kind in ("token", "cross_attention"):
            if labels is not None:
                raise checks.error(
                    "labels", "labels", "text_embeddings", "the model is conditioned on text"
                )
            return check_condition(self.denoiser, text_embeddings, num_samples)
        if text_embeddings is not None:
            raise checks.error(
                "text_embeddings",
                "text embeddings",
                "none",
                "leave them out, the model is not conditioned on text",
            )
        return check_condition(self.denoiser, labels, num_samples)

    def _check_noise(self, noise, num_steps, num_images, seed):
        shape = (num_steps + 1, num_images, *self.code_shape)
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

    def _need_autoencoder(self, purpose):
        if self.autoencoder is None:
            raise checks.error(
                "autoencoder",
                f"{purpose} on a model without an autoencoder",
                "a model with one",
                "pass autoencoder=... when building the model, or call generate_codes",
            )


def _batch_size(batch_size, num_images):
    if batch_size is None:
        # Equal batches, so that little of the last one is padding.
        return math.ceil(num_images / math.ceil(num_images / _DEFAULT_BATCH_SIZE))
    return checks.check_integer("batch_size", batch_size, 1)
