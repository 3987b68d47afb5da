"""The opponents of stage 1: patch critic, its augmentation, and a VGG16 distance."""

import torch
import torch.nn.functional as F
from torch import nn


class Critic(nn.Module):
    """PatchGAN critic with batch normalisation, as published."""

    def __init__(self, image_channels=3, base_width=64, num_layers=3):
        super().__init__()
        widths = [base_width * min(2**n, 8) for n in range(num_layers + 1)]
        layers = [nn.Conv2d(image_channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for n in range(num_layers):
            stride = 2 if n + 1 < num_layers else 1
            layers += [
                nn.Conv2d(widths[n], widths[n + 1], 4, stride, 1, bias=False),
                nn.BatchNorm2d(widths[n + 1]),
                nn.LeakyReLU(0.2),
            ]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images):
        """Logits of patches."""
        return self.main(images)


def augment(images):
    """DiffAugment with the published policy: color, translation."""
    batch, _, height, width = images.shape
    numbers = torch.rand(3, batch, 1, 1, 1)
    images = images + (numbers[0] - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (numbers[1] * 2.0) + grey
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * (numbers[2] + 0.5) + mean
    rows, columns = _shifted(batch, height), _shifted(batch, width)
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    index = torch.arange(batch)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted(batch, size):
    largest = int(size / 8 + 0.5)
    shift = torch.randint(-largest, largest + 1, (batch, 1))
    return torch.clamp(torch.arange(size)[None] + shift + 1, 0, size + 1)


class PerceptualDistance(nn.Module):
    """LPIPS's formula on VGG16; the weights are random (what they are does not change the time)."""

    STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

    def __init__(self):
        super().__init__()
        stages, channels = [], 3
        for widths in self.STAGES:
            layers = [nn.MaxPool2d(2)] if stages else []
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.requires_grad_(False)

    def forward(self, images, others):
        """Distance of each image to its partner, (batch,)."""
        total = 0.0
        first, second = 2.0 * images - 1.0, 2.0 * others - 1.0
        for stage in self.stages:
            first, second = stage(first), stage(second)
            difference = F.normalize(first, dim=1) - F.normalize(second, dim=1)
            total = total + difference.square().sum(dim=1).mean(dim=(1, 2))
        return total
