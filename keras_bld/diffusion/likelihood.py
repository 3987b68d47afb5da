"""The variational bound of given codes, term by term (paper, Eq. 7)."""

import itertools

import numpy as np
from keras import ops

from keras_bld.base import random as bld_random
from keras_bld.base.progress import progress_bar
from keras_bld.diffusion.objective import NATS_PER_BIT, diffusion_losses
from keras_bld.diffusion.posterior import transition_tables


class Likelihood:
    """Evaluates the bound of a `BinaryLatentDiffusion`; see its method `likelihood`."""

    def __init__(self, model):
        self.model = model
        steps = np.arange(1, model.num_training_steps + 1)
        self._tables = transition_tables(model.schedule.k, steps, steps - 1)

    def __call__(self, codes, condition, num_samples, seed, batch_size, progress=False):
        model = self.model
        term = model.compiled_once(("likelihood", condition is not None), lambda: self._term)
        total = np.zeros((model.num_training_steps, len(codes)))
        starts = range(0, len(codes), batch_size)
        num_terms = len(starts) * model.num_training_steps
        with progress_bar("likelihood", num_terms, progress) as show:
            for done, (first, t) in enumerate(
                itertools.product(starts, range(1, model.num_training_steps + 1))
            ):
                show(done)
                rows = np.minimum(np.arange(first, first + batch_size), len(codes) - 1)
                count = min(batch_size, len(codes) - first)
                rest = [] if condition is None else [condition[rows]]
                for draw in range(num_samples):
                    # Every (sample, t, draw) has its own uniforms.
                    step = np.int32((t - 1) * num_samples + draw)
                    values = term(
                        codes[rows], np.int32(t), np.int32(seed), np.int32(first), step, *rest
                    )
                    values = ops.convert_to_numpy(values)[:count]
                    total[t - 1, first : first + count] += values / num_samples
            show(num_terms)
        prior = prior_term(model.schedule.k[-1])
        bits = (total.sum(axis=0) + prior) / NATS_PER_BIT
        profile = np.concatenate([[prior], total.mean(axis=1)]) / NATS_PER_BIT
        return {
            "bits_per_dimension": bits,
            "bits_per_image": bits * np.prod(model.code_shape),
            "profile": profile,
        }

    def _term(self, codes, time, seed, first_index, step, condition=None):
        """One term of the bound in nats per bit, for a batch of codes at one time step."""
        model = self.model
        batch = codes.shape[0]
        time_steps = ops.broadcast_to(time, (batch,))
        indices = first_index + ops.arange(batch, dtype="int32")
        noise = bld_random.uniforms(seed, indices, step, model.code_shape)
        noisy_codes = model.schedule(codes, time_steps, noise)
        logits = model.denoiser(noisy_codes, time_steps, condition)
        transition = ops.take(ops.convert_to_tensor(self._tables), time_steps - 1, axis=0)
        terms = diffusion_losses(
            logits,
            codes,
            noisy_codes,
            time_steps,
            transition,
            model.target,
            channel=model.schedule.channel_log_odds(time_steps),
        )
        return terms["vlb"]


def prior_term(k):
    """KL(q(z^T | z^0) || fair coins) in nats per bit, of k_T; 0 where that is 0."""
    shares = np.array([(1 + k) / 2, (1 - k) / 2])
    return float(np.sum(shares * np.log(2 * shares)))
