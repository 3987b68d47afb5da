import pytest
import torch

from keras_bld.benchmark.layers import AutoencoderSizes
from keras_bld.benchmark.models import model_sizes
from keras_bld.benchmark.torch_peer.autoencoder import Autoencoder
from keras_bld.benchmark.torch_peer.critic import Critic
from keras_bld.benchmark.torch_peer.denoiser import Denoiser
from keras_bld.benchmark.torch_peer.training import AutoencoderTraining, DiffusionTraining

pytestmark = pytest.mark.once


def test_autoencoder_and_critic_learn():
    torch.manual_seed(0)
    sizes = AutoencoderSizes(**model_sizes("tiny")["autoencoder"])
    autoencoder, critic = Autoencoder(sizes).train(), Critic(base_width=4, num_layers=2).train()

    def no_distance(images, reconstruction):
        return torch.zeros(len(images))

    training = AutoencoderTraining(autoencoder, critic, no_distance, learning_rate=1e-3)
    images = torch.rand(2, 3, 1, 1).expand(2, 3, 16, 16).contiguous()
    before = critic.main[0].weight.detach().clone()
    losses = [training.step(images) for _ in range(12)]
    assert losses[-1] < 0.5 * losses[0]
    assert not torch.equal(before, critic.main[0].weight)


def test_the_adaptive_weight_matches_the_norms():
    """The adversarial gradient that is added has the norm of the others', at the last kernel."""
    torch.manual_seed(0)
    sizes = AutoencoderSizes(**model_sizes("tiny")["autoencoder"])
    autoencoder, critic = Autoencoder(sizes).train(), Critic(base_width=4, num_layers=2).train()
    weights = []

    class Recorder(torch.optim.SGD):
        def step(self):
            weights.append(autoencoder.last_kernel.grad.norm().item())

    training = AutoencoderTraining(autoencoder, critic, lambda a, b: torch.zeros(1))
    training.optimizer = Recorder(autoencoder.parameters())
    images = torch.rand(2, 3, 16, 16)
    state = torch.get_rng_state()
    training.step(images)
    torch.set_rng_state(state)
    reconstruction = autoencoder(images)
    loss = (reconstruction - images).square().mean()
    alone = torch.autograd.grad(loss, autoencoder.last_kernel)[0].norm().item()
    # The sum of two vectors of equal norm is at most twice as long.
    assert 0 < weights[0] <= 2 * alone * 1.001
    assert weights[0] != alone


def test_denoiser_learns():
    torch.manual_seed(0)
    sizes = model_sizes("tiny")["denoiser"]
    training = DiffusionTraining(Denoiser(**sizes).train(), learning_rate=3e-3)
    codes = torch.ones(8, 64, 4)
    labels = torch.zeros(8, dtype=torch.int64)
    losses = [training.step(codes, labels) for _ in range(30)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
