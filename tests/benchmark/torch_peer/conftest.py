"""A peer and our model with the same weights, by way of the published names."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from keras_bld.benchmark.layers import AutoencoderSizes  # noqa: E402
from keras_bld.benchmark.models import model_sizes  # noqa: E402
from keras_bld.benchmark.torch_peer.autoencoder import Autoencoder  # noqa: E402
from keras_bld.benchmark.torch_peer.critic import Critic  # noqa: E402
from keras_bld.benchmark.torch_peer.denoiser import Denoiser  # noqa: E402
from keras_bld.conversion import autoencoder_from_published, diffusion_from_published  # noqa: E402


def published(**modules):
    """Published name -> array of modules by their prefix."""
    return {
        f"{prefix}.{name}": tensor.numpy()
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }


def stir(module):
    """Make what starts at zero or one differ from it, so that leaving it out shows."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return module


@pytest.fixture(scope="session")
def denoisers():
    """(peer, our BinaryLatentDiffusion), tiny and with classes."""
    torch.manual_seed(0)
    sizes = model_sizes("tiny")["denoiser"]
    peer = stir(Denoiser(**sizes)).eval()
    state = published(_denoise_fn=peer)
    return peer, diffusion_from_published(state, sizes["num_heads"], sizes["num_training_steps"])


@pytest.fixture(scope="session")
def autoencoders():
    """(peer, its critic, our BinaryAutoencoder with a critic), tiny."""
    torch.manual_seed(0)
    sizes = AutoencoderSizes(**model_sizes("tiny")["autoencoder"])
    peer = stir(Autoencoder(sizes)).eval()
    critic = stir(Critic(base_width=8, num_layers=2)).eval()
    state = published(ae=peer, disc=critic)
    ours = autoencoder_from_published(state, sizes.image_shape[0], (8,), critic=True)
    return peer, critic, ours


@pytest.fixture(scope="session")
def codes():
    """Bits (3, height, width, channels) of the tiny model."""
    shape = (3, *model_sizes("tiny")["denoiser"]["code_shape"])
    return np.random.default_rng(0).integers(0, 2, shape).astype("float32")
