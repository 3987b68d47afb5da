import keras
import numpy as np
import pytest
import torch

from keras_bld.benchmark.torch_peer.diffusion import objective, posterior, sample_codes
from keras_bld.diffusion.objective import diffusion_losses
from keras_bld.diffusion.posterior import transition_tables


@pytest.mark.parametrize("num_steps, guidance_scale", [(1, 0.0), (5, 0.0), (8, 1.5)])
def test_same_noise_gives_the_same_codes(denoisers, codes, num_steps, guidance_scale):
    peer, ours = denoisers
    labels = np.array([2, 0, 1], "int32")
    noise = np.random.default_rng(1).random((num_steps + 1, *codes.shape), "float32")
    received = ours.generate_codes(
        3,
        labels=labels,
        num_steps=num_steps,
        guidance_scale=guidance_scale,
        noise=noise,
        final="threshold",
        tempering="logits",
    )
    expected = sample_codes(
        peer,
        3,
        num_steps,
        guidance_scale=guidance_scale,
        labels=torch.from_numpy(labels).long(),
        uniforms=lambda step: torch.from_numpy(noise[step]).flatten(1, 2),
    ).numpy()
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(received.reshape(expected.shape), expected)


def test_posterior_by_hand():
    # T = 2, t = 2, s = 1: z^2 says nothing, so z^1 = 1 as often as q(z^1 | z^0) = 0.5 z^0 + 0.25.
    codes = torch.tensor([0.0, 1.0])
    np.testing.assert_allclose(posterior(codes, 1.0, 2, 1, 2), [0.75, 0.75])
    # T = 4, t = 2, s = 1, z^0 = 1: keep = 2/3; z^1 = 1 has 7/8 before z^2 is seen.
    likelihood = {1.0: (5 / 6, 1 / 6), 0.0: (1 / 6, 5 / 6)}
    expected = [
        of_one * 7 / 8 / (of_one * 7 / 8 + of_zero / 8)
        for of_one, of_zero in (likelihood[0.0], likelihood[1.0])
    ]
    np.testing.assert_allclose(posterior(codes, 1.0, 2, 1, 4), expected, rtol=1e-6)


def test_objective_is_ours(denoisers, codes):
    _, ours = denoisers
    generator = np.random.default_rng(2)
    noisy = np.where(generator.random(codes.shape) < 0.3, 1 - codes, codes).astype("float32")
    logits = generator.normal(size=codes.shape).astype("float32")
    time_steps = np.array([1, 20, 64], "int32")
    tables = transition_tables(ours.schedule.k, time_steps, time_steps - 1)
    terms = diffusion_losses(logits, codes, noisy, time_steps, keras.ops.convert_to_tensor(tables))
    expected = float(keras.ops.mean(terms["bce"] + 0.1 * terms["vlb"]))
    tensors = [torch.from_numpy(array).flatten(1, 2) for array in (logits, codes, noisy)]
    received = objective(*tensors, torch.from_numpy(time_steps), 64).item()
    assert received == pytest.approx(expected, rel=1e-4)
