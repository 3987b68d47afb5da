import keras
import numpy as np
import pytest
import torch

from keras_bld.autoencoder.lpips import build_vgg16
from keras_bld.benchmark.torch_peer.critic import PerceptualDistance, augment

pytestmark = pytest.mark.once


def test_peer_and_ours_judge_alike(autoencoders):
    _, critic, ours = autoencoders
    images = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    with torch.no_grad():
        expected = critic(torch.from_numpy(np.moveaxis(images, -1, 1).copy()))
    received = keras.ops.convert_to_numpy(keras.ops.stop_gradient(ours.critic(images)))
    np.testing.assert_allclose(received, np.moveaxis(expected.numpy(), 1, -1), atol=2e-5)


def test_perceptual_distance_has_the_layers_of_ours():
    peer = PerceptualDistance()
    shapes = [tuple(p.shape) for p in peer.parameters() if p.ndim == 4]
    ours = [layer.kernel.shape for layer in build_vgg16().layers if hasattr(layer, "kernel")]
    assert shapes == [(width, channels, 3, 3) for _, _, channels, width in ours]
    assert not any(parameter.requires_grad for parameter in peer.parameters())
    images, others = torch.rand(2, 1, 3, 16, 16).unbind()
    distance = peer(images, others)
    assert distance.shape == (1,) and distance.item() > 0
    assert peer(images, images).item() == 0


def test_augmentation_moves_and_colours_each_image_by_itself():
    torch.manual_seed(0)
    images = torch.rand(1, 3, 16, 16).expand(4, 3, 16, 16)
    changed = augment(images)
    assert changed.shape == images.shape
    assert len({round(float(image.mean()), 5) for image in changed}) == 4
    # A shift of at most two pixels brings zeros in at the border only.
    assert (changed[:, :, 2:-2, 2:-2] != 0).all()
