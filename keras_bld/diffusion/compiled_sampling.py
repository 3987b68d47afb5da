"""The sampling loop as one compiled function, and the batches that are fed to it."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.diffusion.sampler import guided_flip_predictor, sample_chain


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


class CompiledSampling:
    """Mixin: the sampling function of the model, compiled once for each `SamplerSettings`."""

    def _prepare_generation(self):
        self._compiled_samplers = {}
        # Set by `compile_for_inference`: has `sampler(settings)` and `num_traces`.
        self._inference_engine = None

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
                    self.denoiser,
                    self.target,
                    self.schedule,
                    temperature,
                    guidance_scale,
                    condition,
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

    def code_batches(self, plan, start=0, stop=None):
        """Yield the codes of images start ... stop - 1 of a `SamplingPlan`, batch by batch.

        Code i depends on the plan and on i alone; the last batch is filled up and cut.

        Yields:
            float32 {0, 1} of shape (batch, h, w, c); (num_steps + 1, batch, h, w, c) where the plan
            returns trajectories.
        """
        settings = plan.settings
        sampler = self.compiled_sampler(settings)
        stop = plan.num_images if stop is None else stop
        scalars = (np.float32(plan.temperature), np.float32(plan.guidance_scale))
        bar = keras.utils.Progbar(stop - start, unit_name="image") if plan.progress else None
        for first in range(start, stop, settings.batch_size):
            rows = np.minimum(np.arange(first, first + settings.batch_size), stop - 1)
            parts = [np.take(array, rows, axis=axis) for array, axis in plan.inputs]
            codes = sampler(np.int32(plan.seed), np.int32(first), *scalars, *parts)
            count = min(settings.batch_size, stop - first)
            codes = ops.convert_to_numpy(codes)
            if bar:
                bar.add(count)
            yield codes[:, :count] if settings.return_trajectory else codes[:count]
