import numpy as np
import pytest
from baselines.priors import SHAPE, denoiser, sampling_of
from keras import ops

from keras_bld import baselines


def test_masked_bits_keep_the_surest_groups():
    model = baselines.MaskedBitPrior(denoiser(100), num_groups=2, choice_temperature=0.0)
    logits = np.zeros((1, *SHAPE), "float32")
    logits[0, 1, 0, 2:] = 9.0  # the second group of one cell is sure
    noise = np.full((1, *SHAPE), 0.3, "float32")
    step = model.make_step(
        sampling_of(model, 100),
        lambda *_: ops.convert_to_tensor(logits),
        lambda number: ops.convert_to_tensor(noise),
    )
    codes = ops.convert_to_numpy(step(np.int32(6), ops.full((1, *SHAPE), 0.5)))
    # floor(8 cos(pi / 2 * 7 / 100)) = 7 of 8 groups stay masked.
    assert np.argwhere(codes[0] != 0.5).tolist() == [[1, 0, 2], [1, 0, 3]]
    assert codes[0, 1, 0, 2:].tolist() == [1.0, 1.0]


@pytest.mark.once
def test_groups_divide_the_bits_of_a_cell():
    with pytest.raises(ValueError, match="num_groups"):
        baselines.MaskedBitPrior(denoiser(), num_groups=3)
