"""Time grids that are fitted: the steps of a sampler where they cost least in the bound."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.base.progress import progress_bar
from keras_bld.diffusion.likelihood import prior_term
from keras_bld.diffusion.objective import NATS_PER_BIT
from keras_bld.diffusion.posterior import posterior_flip, transition_tables
from keras_bld.diffusion.reverse_step import flip_predictor
from keras_bld.diffusion.sampling import (
    check_batch_size,
    check_can_skip_steps,
    condition_of,
    uniform_grid,
)

_MOST_TIME_STEPS = 64  # among which the steps are chosen
_MOST_BITS = 2**15  # of all codes, at each of them


@dataclass(frozen=True)
class TimeGrid:
    """A grid of time steps and what a chain along it costs.

    Args:
        time_steps: falling from T, for `Sampling(time_steps=...)`.
        bits_per_dimension: the variational bound of a chain that takes these steps.
        uniform_bits_per_dimension: the same for the uniform grid of as many steps.
    """

    time_steps: tuple[int, ...]
    bits_per_dimension: float
    uniform_bits_per_dimension: float


def fit_time_grid(
    model,
    data,
    num_steps,
    labels=None,
    num_codes=256,
    seed=0,
    batch_size=None,
    text_embeddings=None,
    drop_condition=False,
    progress=True,
):
    """Choose the time steps of a sampler that cost least in the variational bound.

    A chain that goes from t to s pays KL(q(z^s | z^t, z^0) || p(z^s | z^t)) there (Eq. 7, with
    steps skipped). What the network says at t gives that for every s below t, so one call for each
    t is enough, and dynamic programming finds the cheapest way from T to 0. The idea is of Watson
    et al., "Learning to Efficiently Sample from Diffusion Probabilistic Models" (2021).

    Args:
        model: a `BinaryLatentDiffusion` that can skip steps.
        data: images or codes, as of `fit`; held-out ones, or those of training.
        num_steps: S, how many steps, 1 ... T.
        labels: condition of a class-conditional model, one for each of `data`.
        num_codes: the most that are looked at, a random subset of `data`.
        seed: int, of the subset and of the noise.
        batch_size: codes in one compiled batch.
        text_embeddings: condition of a text-conditional model.
        drop_condition: leave the condition of a conditional model out.
        progress: show a progress bar once it takes over 2 seconds.

    Returns:
        A `TimeGrid`. `model.sampling = model.sampling.replace(time_steps=grid.time_steps)` makes it
        the model's own, saved with it.

    Raises:
        ValueError: a model that can skip no steps; `num_steps` out of range; bad data or labels.

    Example:

    >>> grid = fit_time_grid(model, codes, num_steps=8)  # doctest: +SKIP
    >>> model.generate(4, time_steps=grid.time_steps)  # doctest: +SKIP
    """
    total = model.num_training_steps
    num_steps = checks.check_integer("num_steps", num_steps, 1, total)
    check_can_skip_steps(model)
    data = np.asarray(data)
    condition = condition_of(model, len(data), labels, text_embeddings, drop_condition)
    num_codes = checks.check_integer("num_codes", num_codes, 1)
    seed = bld_random.resolve_seed(seed)
    rows = np.sort(np.random.default_rng(seed).permutation(len(data))[:num_codes])
    codes = model.codes_from(data[rows])
    condition = None if condition is None else condition[rows]
    uniform = uniform_grid(total, num_steps)
    # Evenly spread where T is large; the uniform grid is always one of the choices.
    evenly = uniform_grid(total, max(2, min(total, _MOST_TIME_STEPS))) if total > 1 else uniform
    time_steps = np.union1d(evenly, uniform)
    batch_size = check_batch_size(batch_size, len(codes))
    costs = step_costs(model, codes, condition, time_steps, seed, batch_size, progress)
    places = cheapest_path(costs, num_steps)
    prior = prior_term(model.schedule.k[-1])
    bounds = [
        float(prior + _cost(costs, of)) / NATS_PER_BIT
        for of in (places, np.searchsorted(time_steps, uniform))
    ]
    return TimeGrid(tuple(int(t) for t in time_steps[places]), *bounds)


def step_costs(model, codes, condition, time_steps, seed, batch_size, progress=False):
    """What each step between two of these time steps costs, by one noise draw for each code.

    Args:
        model, seed, batch_size, progress: as of `fit_time_grid`.
        codes: z^0, (n, h, w, c).
        condition: checked, one row for each code, or None.
        time_steps: rising integers t_1 ... t_n.

    Returns:
        float64 (n, n + 1) in nats per bit: of the step from t_{i + 1} to t_j, or to z^0 for j = 0;
        infinite where j > i.
    """
    flips = compile_function(_flips_of(model), lambda: model.denoiser.variables)
    random = np.random.default_rng(seed)
    places = random.permutation(codes.size)[:_MOST_BITS]
    starts = range(0, len(codes), batch_size)
    costs = np.full((len(time_steps), len(time_steps) + 1), np.inf)
    levels = np.concatenate([[0], time_steps])
    with progress_bar("fit time grid", len(time_steps), progress) as show:
        for row, t in enumerate(time_steps):
            show(row)
            found = []
            for first in starts:
                chosen = np.minimum(np.arange(first, first + batch_size), len(codes) - 1)
                rest = [] if condition is None else [condition[chosen]]
                scalars = [np.int32(number) for number in (t, seed, first)]
                made = ops.convert_to_numpy(flips(codes[chosen], *scalars, *rest))
                found.append(made[:, : len(codes) - first])
            flip, different = np.concatenate(found, axis=1).reshape(2, -1)[:, places]
            for column, s in enumerate(levels[: row + 1]):
                transition = transition_tables(model.schedule.k, np.array([t]), np.array([s]))[0]
                costs[row, column] = _step_cost(flip, different, transition.astype("float64"))
        show(len(time_steps))
    return costs


def cheapest_path(costs, num_steps):
    """The way from the last time step to z^0 in so many steps whose costs add up to least.

    Args:
        costs: of `step_costs`.
        num_steps: in 1 ... n.

    Returns:
        int array (num_steps,), falling: rows of `costs`, the last one first.
    """
    size = len(costs)
    best, choice = costs[:, 0], []  # from each time step to z^0 in one step
    for _ in range(num_steps - 1):
        through = costs[:, 1:] + best[None]
        choice.append(np.argmin(through, axis=1))
        best = through[np.arange(size), choice[-1]]
    path = [size - 1]
    for step in reversed(choice):
        path.append(int(step[path[-1]]))
    return np.array(path)


def _cost(costs, path):
    """What a way costs: rows of `costs`, falling."""
    following = [*(path[1:] + 1), 0]
    return sum(costs[row, column] for row, column in zip(path, following, strict=True))


def _step_cost(flip, different, transition):
    """KL(q(z^s | z^t, z^0) || p(z^s | z^t)) in nats, mean over bits; -log p(z^0 | z^t) at s = 0."""
    true, made = (posterior_flip(of, transition) for of in (different, flip))
    total = 0.0
    for q, p in ((true, made), (1.0 - true, 1.0 - made)):
        total = total + q * (np.log(np.maximum(q, 1e-12)) - np.log(np.maximum(p, 1e-12)))
    return float(np.mean(total))


def _flips_of(model):
    """A function of codes, t, a seed, the first code's number -> (P(z^0 != z^t), whether it is)."""

    def flips(codes, time, seed, first_index, condition=None):
        batch = codes.shape[0]
        time_steps = ops.broadcast_to(time, (batch,))
        indices = first_index + ops.arange(batch, dtype="int32")
        # One draw for all t: what chance does to neighbouring time steps is alike, so that none of
        # them looks cheap by luck.
        noise = bld_random.uniforms(seed, indices, 0, model.code_shape)
        noisy_codes = model.schedule(codes, time_steps, noise)
        predict = flip_predictor(
            lambda codes, time_steps: model.denoiser(codes, time_steps, condition),
            model.target,
            model.schedule,
        )
        return ops.stack([predict(noisy_codes, time_steps), ops.abs(codes - noisy_codes)])

    return flips
