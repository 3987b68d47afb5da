import numpy as np
import pytest
import torch

pytestmark = pytest.mark.once


def channels_last(tensor):
    return np.moveaxis(tensor.numpy(), 1, -1)


def test_peer_and_ours_give_the_same_probabilities(autoencoders):
    peer, _, ours = autoencoders
    images = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    with torch.no_grad():
        expected = channels_last(peer.encode(torch.from_numpy(np.moveaxis(images, -1, 1).copy())))
    assert expected.std() > 0.01
    received = ours.encode_probabilities(images)
    np.testing.assert_allclose(received, expected, atol=2e-5)


def test_peer_and_ours_give_the_same_images(autoencoders, codes):
    peer, _, ours = autoencoders
    with torch.no_grad():
        expected = channels_last(peer.decode(torch.from_numpy(np.moveaxis(codes, -1, 1).copy())))
    assert expected.clip(0, 1).std() > 0.05
    np.testing.assert_allclose(ours.decode(codes), expected.clip(0, 1), atol=1e-4)


def test_training_bits_are_zero_or_one_and_pass_the_gradient(autoencoders):
    peer, _, _ = autoencoders
    images = torch.rand(1, 3, 16, 16)
    peer(images).square().mean().backward()
    gradient = peer.encoder.blocks[0].weight.grad
    peer.zero_grad(set_to_none=True)
    assert gradient.abs().sum() > 0
