"""One training step of either stage, with the published number of backward passes."""

import torch
import torch.nn.functional as F

from keras_bld.benchmark.torch_peer.critic import augment
from keras_bld.benchmark.torch_peer.diffusion import objective


class AutoencoderTraining:
    """Stage 1 (paper, Eq. 2): mean squared error + perceptual + adaptive adversarial term.

    Three backward passes for the autoencoder (two gradients at the last kernel, then the sum) and
    one for the critic, two Adam optimizers.
    """

    def __init__(self, autoencoder, critic, perceptual, learning_rate=1e-4):
        self.autoencoder, self.critic, self.perceptual = autoencoder, critic, perceptual
        self.optimizer = torch.optim.Adam(autoencoder.parameters(), learning_rate)
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), learning_rate)

    def step(self, images):
        """Update both networks; return the reconstruction loss as a number."""
        reconstruction = self.autoencoder(images)
        loss = F.mse_loss(reconstruction, images)
        terms = loss + self.perceptual(images, reconstruction).mean()
        fake = augment(reconstruction)
        adversarial = -self.critic(fake).mean()
        kernel = self.autoencoder.last_kernel
        of_terms, of_adversarial = (
            torch.autograd.grad(term, kernel, retain_graph=True)[0].norm()
            for term in (terms, adversarial)
        )
        weight = (of_terms / (of_adversarial + 1e-4)).clamp(0.0, 1e4)
        self.optimizer.zero_grad(set_to_none=True)
        (terms + weight * adversarial).backward()
        self.critic_optimizer.zero_grad(set_to_none=True)
        real_logits = self.critic(augment(images))
        fake_logits = self.critic(fake.detach())
        critic_loss = 0.5 * (F.relu(1.0 - real_logits).mean() + F.relu(1.0 + fake_logits).mean())
        critic_loss.backward()
        self.optimizer.step()
        self.critic_optimizer.step()
        return loss.item()


class DiffusionTraining:
    """Stage 2 (Algorithm 1) on codes, Adam; labels are left out with probability 0.1."""

    def __init__(self, denoiser, learning_rate=1e-4):
        self.denoiser = denoiser
        self.optimizer = torch.optim.Adam(denoiser.parameters(), learning_rate)

    def step(self, codes, labels=None):
        """Update the denoiser on bits (batch, cells, channels); return the loss as a number."""
        num_steps = self.denoiser.num_training_steps
        time = torch.randint(1, num_steps + 1, (len(codes),))
        signal = (1.0 - time / num_steps)[:, None, None]
        probability = signal * codes + (1.0 - signal) / 2.0
        noisy = (torch.rand_like(codes) < probability).float()
        if labels is not None and torch.rand(()) < 0.1:
            labels = None  # for the whole batch: leaving a token out for some needs a mask
        loss = objective(self.denoiser(noisy, time, labels), codes, noisy, time, num_steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()
