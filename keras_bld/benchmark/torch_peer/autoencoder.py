"""The published binary autoencoder (paper, Sec. 3): images are (batch, channels, height, width)."""

import torch
import torch.nn.functional as F
from torch import nn


class Autoencoder(nn.Module):
    """Image <-> bits; `sizes`: an `AutoencoderSizes`."""

    def __init__(self, sizes):
        super().__init__()
        groups = sizes.num_groups
        self.encoder = Stack(sizes.encoder_layers(), groups)
        self.quantize = Quantizer(sizes.embedding_width, sizes.code_channels)
        self.generator = Stack(sizes.decoder_layers(), groups)

    def encode(self, images):
        """P(bit = 1) of images in [0, 1]."""
        features = self.encoder(images.to(self.last_kernel.dtype))
        return torch.sigmoid(self.quantize.proj(features).float())

    def decode(self, codes):
        """Images, not clipped, of bits (batch, code channels, h, w)."""
        embedding = self.quantize.embed.weight
        embedded = torch.einsum("bchw,cd->bdhw", codes.to(embedding.dtype), embedding)
        return self.generator(embedded)

    def forward(self, images):
        """Reconstruction from sampled bits, with the straight-through gradient."""
        probabilities = self.encode(images)
        bits = torch.bernoulli(probabilities.detach())
        return self.decode(bits + probabilities - probabilities.detach())

    @property
    def last_kernel(self):
        """The kernel of the last convolution."""
        return self.generator.blocks[-1].weight


class Quantizer(nn.Module):
    """The 1x1 convolution to logits, and the matrix that embeds bits."""

    def __init__(self, embedding_width, code_channels):
        super().__init__()
        self.proj = nn.Sequential(nn.Conv2d(embedding_width, code_channels, 1))
        self.embed = nn.Embedding(code_channels, embedding_width)


class Stack(nn.Module):
    """A list of `Layer`, one after the other."""

    def __init__(self, layers, num_groups):
        super().__init__()
        self.blocks = nn.ModuleList(_module(layer, num_groups) for layer in layers)

    def forward(self, x):
        """Through all layers."""
        for block in self.blocks:
            x = block(x)
        return x


def _module(layer, num_groups):
    if layer.kind == "convolution":
        return nn.Conv2d(layer.inputs, layer.outputs, 3, padding=1)
    if layer.kind == "norm":
        return _norm(layer.inputs, num_groups)
    if layer.kind == "residual":
        return Residual(layer.inputs, layer.outputs, num_groups)
    if layer.kind == "attention":
        return ImageAttention(layer.inputs, num_groups)
    return (Down if layer.kind == "down" else Up)(layer.inputs)


def _norm(channels, num_groups):
    return nn.GroupNorm(num_groups, channels, eps=1e-6)


class Residual(nn.Module):
    """GroupNorm, SiLU, convolution, twice; a 1x1 convolution where the channels change."""

    def __init__(self, inputs, outputs, num_groups):
        super().__init__()
        self.norm1, self.norm2 = _norm(inputs, num_groups), _norm(outputs, num_groups)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_out = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x):
        """(batch, inputs, h, w) -> (batch, outputs, h, w)."""
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return y + self.conv_out(x)


class ImageAttention(nn.Module):
    """Attention over all positions, one head."""

    def __init__(self, channels, num_groups):
        super().__init__()
        self.norm = _norm(channels, num_groups)
        self.q, self.k, self.v = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        """(batch, channels, h, w) -> the same."""
        normed = self.norm(x)
        # (batch, one head, h * w, channels)
        query, key, value = (
            layer(normed).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        return x + self.proj_out(attended[:, 0].transpose(1, 2).reshape(x.shape))


class Down(nn.Module):
    """Half the size: asymmetric padding, 3x3 with stride 2."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        """(batch, channels, h, w) -> (batch, channels, h / 2, w / 2)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    """Twice the size: nearest neighbour, 3x3."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        """(batch, channels, h, w) -> (batch, channels, 2 h, 2 w)."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
