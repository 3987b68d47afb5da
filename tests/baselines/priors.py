"""Small baseline priors, each of one block for codes of `SHAPE`."""

import types

import numpy as np
from keras import ops

from keras_bld import baselines
from keras_bld.diffusion import BernoulliDenoiser, Sampling

SHAPE = (2, 2, 4)


def denoiser(num_training_steps=8, num_classes=None):
    return BernoulliDenoiser(
        SHAPE, 1, 32, 2, num_training_steps=num_training_steps, num_classes=num_classes
    )


MAKERS = {
    "absorbing": lambda **options: baselines.AbsorbingDiffusion(denoiser(**options)),
    "masked_bits": lambda **options: baselines.MaskedBitPrior(denoiser(**options)),
    "autoregressive": lambda **options: baselines.AutoregressivePrior(
        baselines.CausalTransformer(SHAPE, 1, 32, 2, **options)
    ),
}


def constant_codes(num_codes):
    """All bits of a code are equal, 0 or 1; the class says which."""
    labels = np.arange(num_codes) % 2
    return np.broadcast_to(labels[:, None, None, None], (num_codes, *SHAPE)), labels


def predict(model, logit):
    """Replace the network by one constant logit."""
    model.denoiser.call = lambda codes, *_, **__: ops.full(codes.shape, logit)
    return model


def sampling_of(model, num_steps):
    """What `make_step` gets."""
    grid = model.time_grid(Sampling(num_steps))
    return types.SimpleNamespace(temperature=1.0, time_steps=grid)
