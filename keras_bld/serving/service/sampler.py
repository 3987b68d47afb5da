"""Sampling of images that came at different times, each at its own step, in one batch.

Every step takes the images that wait, in the order in which they came, as far as one run of the
denoiser holds them. What an image becomes depends on its seed, its number and its settings alone.
"""

import collections
from dataclasses import dataclass, field

import numpy as np

from keras_bld.base.random import uniforms
from keras_bld.diffusion.posterior import StepTable, step_table
from keras_bld.diffusion.reverse_step import (
    combine_guidance,
    flip_predictor,
    reverse_step,
    shown_codes,
)
from keras_bld.diffusion.sampling import Sampling, uniform_grid
from keras_bld.diffusion.signal_levels import FixedLevels


@dataclass(eq=False)
class Sample:
    """An image on its way from coin flips to a code.

    Args:
        seed, index: whose noise it gets; image `index` of `generate(..., seed=seed)`.
        time_steps: the falling grid that it visits, int array.
        temperature, guidance_scale: of its steps.
        token: its condition token (width,), or None without condition.
        known: None, or a pair (codes, mask) of float32 arrays (h, w, c), see `reverse_step`.
        owner: whose it is; not looked at.
    """

    seed: int
    index: int
    time_steps: np.ndarray
    temperature: float
    guidance_scale: float = 0.0
    token: np.ndarray | None = None
    known: tuple | None = None
    owner: object = None
    codes: np.ndarray | None = None
    step: int = 0
    table: StepTable | None = field(default=None, repr=False)

    @property
    def is_guided(self):
        """Whether its step costs two rows."""
        return self.token is not None and self.guidance_scale > 0

    @property
    def num_rows(self):
        """Rows of the denoiser in one step."""
        return 2 if self.is_guided else 1


class Sampler:
    """Steps all samples that it holds.

    Args:
        program: the `Program`.
        networks: its `Networks`.
    """

    def __init__(self, program, networks):
        description = program.description
        self._networks = networks
        self._schedule = FixedLevels(np.array(description["signal_levels"]))
        self._target = description["target"]
        self._sampling = Sampling.of(description["sampling"])
        self._code_shape = networks.code_shape
        self._waiting = collections.deque()
        self._active = []

    def __len__(self):
        return len(self._waiting) + len(self._active)

    def time_grid(self, num_steps=None):
        """The time steps of so many steps; None: those of the preset."""
        if num_steps is None and self._sampling.time_steps is not None:
            return np.array(self._sampling.time_steps)
        num_steps = self._sampling.num_steps if num_steps is None else num_steps
        return uniform_grid(len(self._schedule.k) - 1, num_steps)

    def add(self, samples):
        """Let samples wait for their turn."""
        self._waiting.extend(samples)

    def drop(self, is_dropped):
        """Forget the samples of whose owner `is_dropped` is true; they end where they are."""
        self._waiting = collections.deque(
            sample for sample in self._waiting if not is_dropped(sample.owner)
        )
        self._active = [sample for sample in self._active if not is_dropped(sample.owner)]

    def step(self):
        """Take one step with as many samples as fit.

        Returns:
            (the samples that are codes now, rows of the denoiser that were used).
        """
        self._admit()
        if not self._active:
            return [], 0
        rows = self._step(self._active)
        finished = [sample for sample in self._active if sample.step == len(sample.table)]
        self._active = [sample for sample in self._active if sample not in finished]
        return finished, rows

    def _admit(self):
        room = self._networks.most_rows - sum(sample.num_rows for sample in self._active)
        while self._waiting and (self._waiting[0].num_rows <= room or not self._active):
            sample = self._waiting.popleft()
            sample.table = step_table(
                self._schedule.k,
                sample.time_steps,
                self._sampling.kappa,
                self._sampling.corrector_steps,
                self._sampling.corrector_share,
            )
            self._active.append(sample)
            room -= sample.num_rows

    def _step(self, samples):
        fresh = [sample for sample in samples if sample.codes is None]
        if fresh:
            coins = self._noise(fresh, [0] * len(fresh))
            for sample, noise in zip(fresh, coins, strict=True):
                sample.codes = (noise < 0.5).astype("float32")  # z^T
        codes = np.stack([sample.codes for sample in samples])
        steps = np.array([sample.table.time_steps[sample.step] for sample in samples])
        known = self._known(samples)
        predict_flip = flip_predictor(
            lambda codes, time_steps: self._logits(samples, codes, time_steps),
            self._target,
            self._schedule,
            _each([sample.temperature for sample in samples]),
            self._sampling.tempering,
        )
        transition = np.stack(
            [sample.table.transitions[sample.step] for sample in samples], axis=-1
        )
        noise = self._noise(samples, [sample.step + 1 for sample in samples])
        if self._sampling.final == "threshold":
            is_last = [sample.step == len(sample.table) - 1 for sample in samples]
            noise[np.array(is_last)] = 0.5
        made = reverse_step(
            codes,
            predict_flip(shown_codes(codes, known, self._sampling.known_bits), steps),
            [_each(column) for column in transition],
            noise,
            self._target,
            self._sampling.posterior,
            known,
        )
        for sample, code in zip(samples, made, strict=True):
            sample.codes = code
            sample.step += 1
        return sum(sample.num_rows for sample in samples)

    def _logits(self, samples, codes, time_steps):
        guided = np.array([sample.is_guided for sample in samples])
        arguments = {}
        if self._networks.is_conditional:
            present = np.array([sample.token is not None for sample in samples])
            tokens = np.stack(
                [
                    self._networks.no_token() if sample.token is None else sample.token
                    for sample in samples
                ]
            )
            # The second rows of guided samples have no condition.
            arguments["tokens"] = np.concatenate([tokens, tokens[guided]])
            arguments["present"] = np.concatenate([present, np.zeros(guided.sum(), bool)])
        logits = self._networks.logits(
            np.concatenate([codes, codes[guided]]),
            np.concatenate([time_steps, time_steps[guided]]),
            **arguments,
        )
        plain, without = logits[: len(samples)], logits[len(samples) :]
        if guided.any():
            scale = _each([sample.guidance_scale for sample in samples])[guided]
            plain[guided] = combine_guidance(plain[guided], without, scale)
        return plain

    def _noise(self, samples, numbers):
        """Draw `number` of each sample: the library's own noise of its seed and index."""
        seeds = np.array([sample.seed for sample in samples], "int32")[:, None]
        indices = np.array([sample.index for sample in samples], "int32")
        numbers = np.array(numbers, "int32")[:, None]
        return uniforms(seeds, indices, numbers, self._code_shape)

    def _known(self, samples):
        if not any(sample.known for sample in samples):
            return None
        nothing = (np.zeros(self._code_shape, "float32"),) * 2
        pairs = [sample.known or nothing for sample in samples]
        codes, masks = zip(*pairs, strict=True)
        return np.stack(codes), np.stack(masks)


def _each(numbers):
    """One float32 number for each sample, which broadcasts against codes."""
    return np.array(numbers, "float32")[:, None, None, None]
