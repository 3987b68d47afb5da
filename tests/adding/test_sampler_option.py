"""A sampler option of one's own: docs/adding.md shows these two classes."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from keras import ops
from small_models import LinearDenoiser

from keras_bld.diffusion import BernoulliNoiseSchedule, BinaryLatentDiffusion, Sampling

OFFSET = 1000  # of the draws that are not the chain's own


@dataclass(frozen=True)
class SloppySampling(Sampling):
    """A share of bits is thrown anew after each step.

    Args:
        new_share: share of bits in [0, 1].
    """

    new_share: float = field(default=0.0, metadata={"traced": True})


class SloppyDiffusion(BinaryLatentDiffusion):
    sampling_class = SloppySampling

    def make_step(self, sampling, logits_of, draw, known=None):
        plain = super().make_step(sampling, logits_of, draw, known)

        def step(index, codes):
            number = OFFSET + 2 * index
            coins = ops.cast(draw(number) < 0.5, "float32")
            return ops.where(draw(number + 1) < sampling.new_share, coins, plain(index, codes))

        return step


def test_an_option_of_ones_own():
    model = SloppyDiffusion(LinearDenoiser(), BernoulliNoiseSchedule(8), sampling=Sampling(4))
    plain = BinaryLatentDiffusion(model.denoiser, model.schedule, sampling=Sampling(4))
    codes = plain.generate_codes(64, seed=0)
    np.testing.assert_array_equal(model.generate_codes(64, seed=0), codes)
    traces = model.num_traces
    shares = [
        np.mean(model.generate_codes(64, seed=0, new_share=share) != codes) for share in (0.1, 1.0)
    ]
    assert 0 < shares[0] < shares[1] < 0.7
    assert model.num_traces == traces  # the option is an input of the compiled loop
    model.sampling = model.sampling.replace(new_share=0.25)
    assert SloppyDiffusion.from_config(model.get_config()).sampling.new_share == 0.25
    with pytest.raises(TypeError, match="`new_share`"):
        plain.generate_codes(1, new_share=0.1)
