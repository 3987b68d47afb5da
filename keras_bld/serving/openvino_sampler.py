"""The reverse chain around a denoiser that OpenVINO runs: Algorithm 2 as a plain loop."""

import numpy as np
from keras import ops

from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.diffusion.objective import flip_logits
from keras_bld.diffusion.posterior import posterior_flip, transition_tables
from keras_bld.serving.openvino_denoiser import DenoiserInputs, denoiser_graph
from keras_bld.serving.openvino_program import Program


class OpenVinoSampler:
    """Stands in for the compiled samplers of a `BinaryLatentDiffusion`.

    The noise is that of the plain path, bit by bit; probabilities and posterior are float32.

    Args:
        model: a `BinaryLatentDiffusion` with a `BernoulliDenoiser`.
        precision: "bfloat16" or "float32".
    """

    def __init__(self, model, precision):
        self.precision = precision
        self._denoiser = model.denoiser
        self._schedule = model.schedule
        self._target = model.target
        self._program = Program(
            lambda: denoiser_graph(self._denoiser), lambda: self._denoiser.variables, precision
        )
        self._inputs = DenoiserInputs(self._denoiser)
        self._uniforms = compile_function(
            lambda seed, indices, step: bld_random.uniforms(
                seed, indices, step, self._denoiser.code_shape
            ),
            list,
        )

    @property
    def num_traces(self):
        """How many times the denoiser was compiled: once, and after a change of the weights."""
        return self._program.num_compilations

    def sampler(self, settings):
        """See `Generation.sampler_function`: the callable that it returns, on arrays."""
        if self._program.refresh():
            self._inputs = DenoiserInputs(self._denoiser)

        def sample(seed, first_index, temperature, guidance_scale, *rest):
            rest = list(rest)
            condition = rest.pop(0) if settings.conditional else None
            explicit = rest.pop(0) if settings.explicit_noise else None
            known = rest if settings.inpaints else None
            indices = np.arange(settings.batch_size, dtype="int32") + np.int32(first_index)

            def noise(step):
                if explicit is not None:
                    return np.asarray(explicit[step])
                return ops.convert_to_numpy(self._uniforms(seed, indices, np.int32(step)))

            predict_flip = self._flip_predictor(settings, condition, temperature, guidance_scale)
            return self._chain(predict_flip, noise, settings, known)

        return sample

    def _flip_predictor(self, settings, condition, temperature, guidance_scale):
        """A function (codes, t) -> P(z^0 != z^t); guidance is one call on a doubled batch."""
        guided = settings.conditional and float(guidance_scale) > 0.0
        fixed = self._inputs.condition(condition, settings.batch_size, guided)
        height, columns, channels = self._denoiser.code_shape

        def predict_flip(codes, step):
            cells = codes.reshape(-1, height * columns, channels)
            if guided:
                cells = np.concatenate([cells, cells])
            logits = self._program(codes=cells, time=self._inputs.time(step), **fixed)
            if guided:
                given, without = np.split(logits, 2)
                logits = (1.0 + guidance_scale) * given - guidance_scale * without
            bits = ops.convert_to_tensor(codes)
            channel = self._schedule.channel_log_odds(np.int32(step))
            logits = flip_logits(logits.reshape(codes.shape), bits, self._target, channel)
            return ops.convert_to_numpy(ops.sigmoid(logits / temperature))

        return predict_flip

    def _chain(self, predict_flip, noise, settings, known):
        """`sample_chain` in NumPy."""
        grid = self._schedule.sampling_steps(settings.num_steps)
        tables = transition_tables(self._schedule.k, grid, np.append(grid[1:], 0))
        codes = (noise(0) < 0.5).astype("float32")
        states = [codes]
        for index, (step, coefficients) in enumerate(zip(grid, tables, strict=True)):
            flip = predict_flip(codes, step)
            if self._target != "previous":
                flip = ops.convert_to_numpy(posterior_flip(flip, coefficients, settings.posterior))
            if known is not None:
                known_codes, mask = known
                different = np.abs(known_codes - codes)
                true_flip = posterior_flip(different, coefficients, "exact")
                flip = mask * true_flip + (1.0 - mask) * flip
            probability = codes * (1.0 - flip) + (1.0 - codes) * flip
            thresholds = settings.final == "threshold" and index == len(grid) - 1
            bar = 0.5 if thresholds else noise(index + 1)
            codes = (bar < probability).astype("float32")
            if settings.return_trajectory:
                states.append(codes)
        return np.stack(states) if settings.return_trajectory else codes
