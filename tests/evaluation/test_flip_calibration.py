import numpy as np

from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.evaluation.flip_calibration import flip_calibration


def test_a_constant_prediction_misses_by_what_the_schedule_says():
    """Logits 0 predict a flip with 1/2; at time t a bit has flipped with (1 - k_t) / 2."""
    denoiser = BernoulliDenoiser((8, 8, 8), 1, 16, 2, num_training_steps=4)
    for variable in denoiser.trainable_variables:
        variable.assign(variable * 0)
    model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4))
    codes = np.random.default_rng(0).integers(0, 2, (16, 8, 8, 8)).astype("float32")
    curves = flip_calibration(model, codes, None, seed=0, batch_size=8)
    assert [row["t"] for row in curves] == [1, 2, 3, 4]
    for row in curves:
        expected = 0.5 - row["t"] / 4 / 2
        np.testing.assert_allclose(row["error"], expected, atol=0.02)
        assert sum(row["counts"]) == codes.size


def test_all_codes_count_with_the_last_batch():
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=2)
    model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(2))
    codes = np.random.default_rng(0).integers(0, 2, (11, 4, 4, 4)).astype("float32")
    whole, parts = (flip_calibration(model, codes, None, 0, size) for size in (11, 4))
    for one, other in zip(whole, parts, strict=True):
        assert sum(one["counts"]) == sum(other["counts"]) == codes.size
        np.testing.assert_allclose(one["error"], other["error"], atol=1e-3)


def test_the_target_previous_has_none():
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=4)
    model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), target="previous")
    assert flip_calibration(model, np.zeros((2, 4, 4, 4)), None, 0, 2) is None
