import numpy as np
import scipy.special
from harness import to_numpy
from keras import ops

from keras_bld.diffusion import BernoulliNoiseSchedule
from keras_bld.diffusion.targets import flip_logits

NUM_STEPS = 16


def test_flip_logits_by_hand():
    logits = ops.convert_to_tensor(np.array([2.0, 2.0, -3.0, -3.0], "float32"))
    noisy = ops.convert_to_tensor(np.array([0.0, 1.0, 0.0, 1.0], "float32"))
    assert to_numpy(flip_logits(logits, noisy, "residual")).tolist() == [2, 2, -3, -3]
    # A bit that is 1 is a flip where z^t is 0, and none where it is 1.
    for target in ("z0", "previous"):
        assert to_numpy(flip_logits(logits, noisy, target)).tolist() == [2, -2, -3, 3]
    # z^t is z^0 with log odds of 4, whatever it is: that much less is a flip likely.
    assert to_numpy(flip_logits(logits, noisy, "extrinsic", 4.0)).tolist() == [-2, -6, -7, -1]


def test_extrinsic_is_bayes_rule():
    """What others say of a bit is the prior of what its own z^t says."""
    schedule = BernoulliNoiseSchedule(NUM_STEPS)
    for t, prior in ((1, 0.5), (5, 0.9), (NUM_STEPS, 0.2)):
        flip = schedule.b[t]
        for noisy in (0.0, 1.0):
            one = prior * (1 - flip if noisy else flip)  # P(z^0 = 1, z^t)
            zero = (1 - prior) * (flip if noisy else 1 - flip)
            wanted = (zero if noisy else one) / (one + zero)
            logit = ops.convert_to_tensor([scipy.special.logit(prior)], "float32")
            odds = schedule.channel_log_odds(t)
            received = to_numpy(flip_logits(logit, noisy, "extrinsic", odds))
            np.testing.assert_allclose(scipy.special.expit(received), [wanted], rtol=1e-5)
