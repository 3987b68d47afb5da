"""The published denoiser (paper, Sec. 5 and appendix B.1)."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Denoiser(nn.Module):
    """Bits (batch, cells, channels) and t in 1 ... T -> logits of the same shape.

    The arguments are those of `keras_bld.BernoulliDenoiser`.
    """

    def __init__(self, code_shape, depth, width, num_heads, num_training_steps, num_classes=None):
        super().__init__()
        height, columns, channels = code_shape
        self.num_cells, self.num_training_steps = height * columns, num_training_steps
        self.tok_emb = nn.Embedding(channels, width)
        self.pos_emb = nn.Parameter(0.5 * torch.randn(1, self.num_cells, width))
        self.time_step_embedding = TimeEmbedding(width)
        self.cls_embedding = None
        if num_classes is not None:
            self.cls_embedding = nn.Embedding(num_classes, width)
        self.blocks = nn.ModuleList(Block(width, num_heads) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, channels)

    def forward(self, codes, time_steps, condition=None):
        """Logits; `condition`: labels (batch,), or None to leave the condition token out."""
        dtype = self.pos_emb.dtype
        tokens = (2.0 * codes - 1.0).to(dtype) @ self.tok_emb.weight + self.pos_emb
        time = (time_steps.float() - 1.0) / self.num_training_steps * 4000.0
        extra = [self.time_step_embedding(time)]
        if condition is not None:
            extra.append(self.cls_embedding(condition))
        tokens = torch.cat([tokens, *(token[:, None] for token in extra)], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.ln_f(tokens[:, : self.num_cells]))


class TimeEmbedding(nn.Module):
    """Sinusoid, Linear, SiLU, Linear."""

    def __init__(self, width):
        super().__init__()
        self.l0 = nn.Linear(width, width)
        self.linear = nn.Linear(width, width)
        half = width // 2
        frequencies = torch.exp(torch.arange(half) * (-math.log(10000.0) / max(half - 1, 1)))
        self.frequencies = frequencies.tolist()

    def forward(self, time):
        """Scaled times (batch,) -> (batch, width)."""
        angles = time[:, None] * torch.tensor(self.frequencies)
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1).to(self.l0.weight.dtype)
        return self.linear(F.silu(self.l0(waves)))


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens):
        """(batch, length, width) -> the same."""
        parts = self.qkv(tokens).chunk(3, dim=-1)
        # (batch, heads, length, width / heads)
        query, key, value = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in parts)
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-LN block; LayerScale on both branches."""

    def __init__(self, width, num_heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, num_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.gamma_1 = nn.Parameter(torch.ones(width))
        self.gamma_2 = nn.Parameter(torch.ones(width))

    def forward(self, tokens):
        """(batch, length, width) -> the same."""
        tokens = tokens + self.gamma_1 * self.attn(self.ln1(tokens))
        return tokens + self.gamma_2 * self.mlp(self.ln2(tokens))
