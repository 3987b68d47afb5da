"""Sampling around a denoiser that OpenVINO runs: the prior's own steps in a plain loop."""

import types

import numpy as np
from keras import ops

from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.diffusion.reverse_step import combine_guidance
from keras_bld.serving.openvino_denoiser import DenoiserInputs, denoiser_graph
from keras_bld.serving.openvino_program import Program


class OpenVinoSampler:
    """Stands in for the compiled samplers of a `CodePrior`.

    The noise is that of the plain path, bit by bit; probabilities and posterior are float32.

    Args:
        model: a `CodePrior` with a `BernoulliDenoiser`.
        precision: "bfloat16" or "float32".
    """

    def __init__(self, model, precision):
        self.precision = precision
        self._model = model
        self._denoiser = model.denoiser
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

    def sampler(self, sampling, batch_size, return_trajectory=False):
        """See `CodePrior.sampler_function`: the callable that it returns, on arrays."""
        if self._program.refresh():
            self._inputs = DenoiserInputs(self._denoiser)
        fixed, traced = sampling.split()
        fixed["time_steps"] = self._model.time_grid(sampling)
        num_calls = sampling.num_calls(len(fixed["time_steps"]))

        def sample(
            seed,
            first_index,
            condition=None,
            noise=None,
            known_codes=None,
            known_mask=None,
            start_codes=None,
            indices=None,
            **inputs,
        ):
            settings = types.SimpleNamespace(**{**fixed, **traced, **inputs})
            if indices is None:
                indices = np.arange(batch_size, dtype="int32") + np.int32(first_index)

            def draw(number):
                if noise is not None:
                    return ops.convert_to_tensor(noise[number])
                return self._uniforms(seed, indices, np.int32(number))

            logits_of = self._logits(condition, batch_size, settings.guidance_scale)
            known = None
            if known_codes is not None:
                known = tuple(map(ops.convert_to_tensor, (known_codes, known_mask)))
            step = self._model.make_step(settings, logits_of, draw, known)
            if start_codes is None:
                states = [self._model.start(draw, batch_size)]
            else:
                states = [ops.convert_to_tensor(start_codes)]
            for index in range(num_calls):
                codes = step(index, states[-1])
                states = [*states, codes] if return_trajectory else [codes]
            states = [ops.convert_to_numpy(state) for state in states]
            return np.stack(states) if return_trajectory else states[0]

        return sample

    def _logits(self, condition, batch_size, guidance_scale):
        """A function (codes, time_steps) -> logits; guidance is one call on a doubled batch."""
        guided = condition is not None and float(guidance_scale) > 0.0
        fixed = self._inputs.condition(condition, batch_size, guided)
        height, columns, channels = self._denoiser.code_shape

        def logits_of(codes, time_steps):
            cells = ops.convert_to_numpy(codes).reshape(-1, height * columns, channels)
            if guided:
                cells = np.concatenate([cells, cells])
            time = self._inputs.time(int(ops.convert_to_numpy(time_steps)[0]))
            logits = self._program(codes=cells, time=time, **fixed)
            if guided:
                logits = combine_guidance(*np.split(logits, 2), guidance_scale)
            return ops.convert_to_tensor(logits.reshape(codes.shape))

        return logits_of
