"""Algorithms 1 and 2: the training objective and the sampling loop, eager."""

import torch
import torch.nn.functional as F


def sample_codes(
    denoiser,
    num_samples,
    num_steps,
    temperature=0.9,
    guidance_scale=0.0,
    labels=None,
    uniforms=None,
):
    """Algorithm 2 with the exact posterior (Eq. 8) and a last step that thresholds.

    Args:
        denoiser: a `Denoiser` trained on the residual z^t XOR z^0.
        num_samples, num_steps, temperature, guidance_scale, labels: as in
            `BinaryLatentDiffusion.generate_codes`; guidance calls the denoiser twice a step.
        uniforms: callable step -> uniforms (batch, cells, channels); None draws them.

    Returns:
        float32 {0, 1} (num_samples, cells, channels).
    """
    shape = (num_samples, denoiser.num_cells, denoiser.head.out_features)
    if uniforms is None:
        generator = torch.Generator().manual_seed(0)

        def uniforms(step):
            return torch.rand(shape, generator=generator)

    total = denoiser.num_training_steps
    grid = [step * (total - 1) // max(num_steps - 1, 1) + 1 for step in range(num_steps)]
    grid = grid[::-1] if num_steps > 1 else [total]
    with torch.no_grad():
        codes = (uniforms(0) < 0.5).float()
        for index, (t, s) in enumerate(zip(grid, [*grid[1:], 0], strict=True)):
            time = torch.full((num_samples,), t)
            logits = denoiser(codes, time, labels).float()
            if guidance_scale > 0:
                without = denoiser(codes, time, None).float()
                logits = (1.0 + guidance_scale) * logits - guidance_scale * without
            flip = torch.sigmoid(logits / temperature)
            one = codes * (1.0 - flip) + (1.0 - codes) * flip  # P(z^0 = 1)
            if s == 0:
                return (one > 0.5).float()
            of_zero, of_one = (posterior(codes, z0, t, s, total) for z0 in (0.0, 1.0))
            probability = one * of_one + (1.0 - one) * of_zero
            codes = (uniforms(index + 1) < probability).float()


def posterior(codes, clean, t, s, num_steps):
    """q(z^s = 1 | z^t, z^0) by Bayes, with k_t = 1 - t / T; `clean` may be a number."""
    k_t, k_s = 1.0 - t / num_steps, 1.0 - s / num_steps
    keep = k_t / k_s
    prior = k_s * clean + (1.0 - k_s) / 2.0  # q(z^s = 1 | z^0)
    to_one, to_zero = keep + (1.0 - keep) / 2.0, (1.0 - keep) / 2.0
    from_one = codes * to_one + (1.0 - codes) * (1.0 - to_one)  # q(z^t | z^s = 1)
    from_zero = codes * to_zero + (1.0 - codes) * (1.0 - to_zero)
    joint = from_one * prior
    return joint / (joint + from_zero * (1.0 - prior))


def objective(logits, codes, noisy, time_steps, num_steps, vlb_weight=0.1):
    """Eq. 13 on the residual: BCE + vlb_weight * bound, the mean over bits and samples."""
    logits = logits.float()
    different = (codes - noisy).abs()
    bce = F.binary_cross_entropy_with_logits(logits, different, reduction="none")
    t = time_steps[:, None, None].float()
    true = posterior(noisy, codes, t, t - 1, num_steps)
    flip = torch.sigmoid(logits)
    one = noisy * (1.0 - flip) + (1.0 - noisy) * flip
    of_zero, of_one = (posterior(noisy, z0, t, t - 1, num_steps) for z0 in (0.0, 1.0))
    model = one * of_one + (1.0 - one) * of_zero
    kl = _bernoulli_kl(true, model)
    vlb = torch.where(t == 1, bce, kl)
    return (bce + vlb_weight * vlb).mean()


def _bernoulli_kl(p, q):
    p, q = p.clamp(1e-12, 1 - 1e-7), q.clamp(1e-12, 1 - 1e-7)
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
