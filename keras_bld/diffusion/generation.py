"""Sampling methods of `BinaryLatentDiffusion`: what users call, and what it means."""

import numpy as np

from keras_bld.base import checks
from keras_bld.base import random as bld_random
from keras_bld.diffusion.compiled_sampling import CompiledSampling, SamplerSettings
from keras_bld.diffusion.generation_store import write_generated_codes
from keras_bld.diffusion.inpainting import code_mask, composite, pixel_mask
from keras_bld.diffusion.likelihood import Likelihood
from keras_bld.diffusion.sampling import (
    SamplingOptions,
    check_batch_size,
    check_num_steps,
    condition_of,
    plan_sampling,
)

__all__ = ["Generation", "SamplerSettings"]


class Generation(CompiledSampling):
    """Mixin: `generate`, `generate_batches`, `generate_codes`, `generate_to_store`, `inpaint`,
    `likelihood`.
    """

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
            num_steps: denoising steps, 1 ... T; None takes all T. Fewer steps skip exactly, where
                the model `can_skip_steps`.
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
        return np.concatenate(list(self._image_batches(num_images, SamplingOptions.of(locals()))))

    def generate_batches(self, num_images, **options):
        """Like `generate`, but an iterator of image batches: constant memory for any number."""
        return self._image_batches(num_images, SamplingOptions(**options))

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
        options = SamplingOptions.of(locals())
        plan = plan_sampling(
            self, num_images, options, noise=noise, return_trajectory=return_trajectory
        )
        return np.concatenate(list(self.code_batches(plan)), axis=1 if return_trajectory else 0)

    def generate_to_store(
        self,
        directory,
        num_images,
        labels=None,
        num_steps=None,
        temperature=0.9,
        guidance_scale=0.0,
        posterior="exact",
        final="threshold",
        seed=0,
        batch_size=None,
        progress=False,
        text_embeddings=None,
        drop_condition=False,
        num_shards=None,
        on_progress=None,
    ):
        """Make codes of any number of images straight into a sharded store on disk.

        The store holds bit-packed codes and labels: 2 KB an image at 16 x 16 x 64 bits. After an
        interruption the same call goes on behind the last finished shard, and ends with the very
        same bits. A finished store is returned as it is. Memory grows by the labels alone.

        Args:
            directory: folder of the store.
            num_images: how many.
            labels: as in `generate`, as all arguments not named here.
            num_steps: as in `generate`.
            temperature: as in `generate`.
            guidance_scale: as in `generate`.
            posterior: as in `generate`.
            final: as in `generate`.
            seed: int in [0, 2**31); one has to be given, or an interrupted run could not go on.
            batch_size: codes in one compiled batch; may differ between the calls.
            progress: show a progress bar.
            text_embeddings: as in `generate`.
            drop_condition: as in `generate`.
            num_shards: number of files; by default one for each 512 images, the most that an
                interruption costs.
            on_progress: callable of (images done, images in all), called after each batch.

        Returns:
            The finished `keras_bld.data.CodeStore`; its method
            `decoded_batches(model.autoencoder.decode)` gives the images, batch by batch.

        Raises:
            ValueError: as `generate`; a folder with codes of another model or other settings.
            ImportError: array_record is not installed.
        """
        seed = checks.check_integer("seed", seed, 0, bld_random.MAX_SEED)
        options = SamplingOptions.of(locals())
        return write_generated_codes(self, directory, num_images, options, num_shards, on_progress)

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
        progress=False,
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
            progress: as in `generate`.
            text_embeddings: as in `generate`, one for each image.
            drop_condition: as in `generate`.

        Returns:
            float32 array: (batch, height, width, channels), or with `num_results`
            (batch, num_results, height, width, channels).

        Raises:
            ValueError: bad images, a mask of the wrong shape or with values other than 0 and 1.
        """
        options = SamplingOptions.of(locals())
        self._need_autoencoder("inpaint")
        image_shape = tuple(self.autoencoder.image_shape)
        images = checks.check_images(np.asarray(images), image_shape)
        pixels = pixel_mask(mask, len(images), image_shape, self.code_shape)
        repeats = 1 if num_results is None else checks.check_integer("num_results", num_results, 1)
        condition = condition_of(self, options, len(images))
        known = (self.autoencoder.encode(images), 1.0 - code_mask(pixels, self.code_shape))
        plan = plan_sampling(
            self,
            len(images) * repeats,
            options,
            condition=None if condition is None else np.repeat(condition, repeats, axis=0),
            known=[np.repeat(part, repeats, axis=0) for part in known],
        )
        made = np.concatenate([self.autoencoder.decode(part) for part in self.code_batches(plan)])
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
        options = SamplingOptions(
            labels=labels, text_embeddings=text_embeddings, drop_condition=drop_condition
        )
        return Likelihood(self)(
            codes,
            condition_of(self, options, len(codes)),
            checks.check_integer("num_samples", num_samples, 1),
            bld_random.resolve_seed(seed),
            check_batch_size(batch_size, len(codes)),
        )

    @property
    def can_skip_steps(self):
        """Whether sampling may take fewer than T steps; with the target "previous" it may not."""
        return self.target != "previous"

    def check_num_steps(self, num_steps):
        """Return the number of sampling steps, T for None; raise ValueError where it is bad."""
        return check_num_steps(self, num_steps)

    def _image_batches(self, num_images, options):
        self._need_autoencoder("generate")
        # Planned now, so that bad arguments raise here and not at the first `next`.
        plan = plan_sampling(self, num_images, options)
        return (self.autoencoder.decode(codes) for codes in self.code_batches(plan))

    def _need_autoencoder(self, purpose):
        if self.autoencoder is None:
            raise checks.error(
                "autoencoder",
                f"{purpose} on a model without an autoencoder",
                "a model with one",
                "pass autoencoder=... when building the model, or call generate_codes",
            )
