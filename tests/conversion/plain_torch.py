"""The published networks in plain torch, written from the paper's description.

Weights are random, in dictionaries under the published names, and the networks are functions of
such a dictionary. Sizes come from the arguments, never from the names that the conversion reads.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F


class RandomState(dict):
    """Random tensors under published names; `scale` keeps activations near one."""

    def __init__(self, seed=0):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, name, *shape, scale=1.0, shift=0.0):
        self[name] = shift + scale * torch.randn(shape, generator=self.generator)

    def linear(self, name, inputs, outputs):
        self.normal(f"{name}.weight", outputs, inputs, scale=inputs**-0.5)
        self.normal(f"{name}.bias", outputs, scale=0.1)

    def norm(self, name, width):
        self.normal(f"{name}.weight", width, scale=0.1, shift=1.0)
        self.normal(f"{name}.bias", width, scale=0.1)

    def convolution(self, name, inputs, outputs, size, bias=True):
        scale = (inputs * size * size) ** -0.5
        self.normal(f"{name}.weight", outputs, inputs, size, size, scale=scale)
        if bias:
            self.normal(f"{name}.bias", outputs, scale=0.1)

    def arrays(self):
        return {name: tensor.numpy() for name, tensor in self.items()}


def apply(operation, state, name, x, **kwargs):
    return operation(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **kwargs)


# The denoiser


@dataclass(frozen=True)
class DenoiserSizes:
    grid: tuple = (2, 2)
    channels: int = 3
    depth: int = 1
    width: int = 16
    num_heads: int = 2
    num_training_steps: int = 8
    num_classes: int | None = None
    token_width: int | None = None
    cross_width: int | None = None


def random_denoiser(sizes, seed=0):
    state, width, net = RandomState(seed), sizes.width, "_denoise_fn."
    state.normal(f"{net}tok_emb.weight", sizes.channels, width)
    state.normal(f"{net}pos_emb", 1, math.prod(sizes.grid), width)
    state.linear(f"{net}time_step_embedding.l0", width, width)
    state.linear(f"{net}time_step_embedding.linear", width, width)
    if sizes.num_classes:
        state.normal(f"{net}cls_embedding.weight", sizes.num_classes, width)
    if sizes.token_width:
        state.linear(f"{net}cls_embedding", sizes.token_width, width)
    for index in range(sizes.depth):
        block = f"{net}blocks.{index}"
        state.linear(f"{block}.attn.qkv", width, 3 * width)
        state.linear(f"{block}.attn.proj", width, width)
        state.linear(f"{block}.mlp.0", width, 4 * width)
        state.linear(f"{block}.mlp.2", 4 * width, width)
        parts = ["1", "2"]
        if sizes.cross_width:
            parts.append("1_5")
            state.linear(f"{block}.cross.query", width, width)
            state.linear(f"{block}.cross.kv", sizes.cross_width, 2 * width)
            state.linear(f"{block}.cross.proj", width, width)
            state.normal(f"{block}.cross.null_emb", 1, 1, sizes.cross_width)
        for part in parts:
            state.norm(f"{block}.ln{part}", width)
            state.normal(f"{block}.gamma_{part}", width, shift=1.0, scale=0.2)
    state.norm(f"{net}ln_f", width)
    state.linear(f"{net}head", width, sizes.channels)
    return state


def denoise(state, sizes, codes, time_steps, condition=None):
    """Logits (batch, cells, channels) of bits (batch, cells, channels) and t in 1 ... T."""
    net = {name.removeprefix("_denoise_fn."): tensor for name, tensor in state.items()}
    tokens = (2 * codes - 1) @ net["tok_emb.weight"] + net["pos_emb"]
    half = sizes.width // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    angles = ((time_steps - 1) / sizes.num_training_steps * 4000)[:, None] * frequencies
    time = torch.cat([angles.sin(), angles.cos()], -1)
    time = F.silu(apply(F.linear, net, "time_step_embedding.l0", time))
    extra = [apply(F.linear, net, "time_step_embedding.linear", time)]
    if sizes.num_classes and condition is not None:
        extra.append(net["cls_embedding.weight"][condition])
    if sizes.token_width and condition is not None:
        extra.append(apply(F.linear, net, "cls_embedding", condition))
    tokens = torch.cat([tokens, *(token[:, None] for token in extra)], 1)
    for index in range(sizes.depth):
        tokens = _transformer_block(net, sizes, f"blocks.{index}", tokens, condition)
    cells = _layer_norm(net, "ln_f", tokens[:, : codes.shape[1]])
    return apply(F.linear, net, "head", cells)


def _transformer_block(net, sizes, block, tokens, condition):
    x = apply(F.linear, net, f"{block}.attn.qkv", _layer_norm(net, f"{block}.ln1", tokens))
    x = _attend(*x.chunk(3, -1), sizes.num_heads)
    tokens = tokens + net[f"{block}.gamma_1"] * apply(F.linear, net, f"{block}.attn.proj", x)
    if sizes.cross_width:
        text = net[f"{block}.cross.null_emb"] if condition is None else condition
        text = text.expand(len(tokens), -1, -1)
        query = _layer_norm(net, f"{block}.ln1_5", tokens)
        query = apply(F.linear, net, f"{block}.cross.query", query)
        key, value = apply(F.linear, net, f"{block}.cross.kv", text).chunk(2, -1)
        x = apply(F.linear, net, f"{block}.cross.proj", _attend(query, key, value, sizes.num_heads))
        tokens = tokens + net[f"{block}.gamma_1_5"] * x
    x = apply(F.linear, net, f"{block}.mlp.0", _layer_norm(net, f"{block}.ln2", tokens))
    x = apply(F.linear, net, f"{block}.mlp.2", F.gelu(x))
    return tokens + net[f"{block}.gamma_2"] * x


def _layer_norm(net, name, x):
    return F.layer_norm(x, x.shape[-1:], net[f"{name}.weight"], net[f"{name}.bias"])


def _attend(query, key, value, num_heads):
    query, key, value = (x.unflatten(-1, (num_heads, -1)) for x in (query, key, value))
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value).flatten(-2)


# The autoencoder and its critic


@dataclass(frozen=True)
class AutoencoderSizes:
    image_size: int = 8
    image_channels: int = 3
    base_width: int = 32
    multipliers: tuple = (1, 2)
    num_blocks: int = 1
    generator_blocks: int = 1
    attention: tuple = ()
    embedding_width: int = 32
    code_channels: int = 4
    norm_first: bool = True
    critic_width: int = 4
    critic_layers: int = 1
    extras: tuple = field(default=("logsigma", "disc"))


def encoder_layers(sizes):
    """(kind, input channels, output channels) of each published `ae.encoder.blocks`."""
    width, resolution = sizes.base_width, sizes.image_size
    layers = [("convolution", sizes.image_channels, width)]
    for level, multiplier in enumerate(sizes.multipliers):
        for _ in range(sizes.num_blocks):
            layers.append(("residual", width, sizes.base_width * multiplier))
            width = sizes.base_width * multiplier
            if resolution in sizes.attention:
                layers.append(("attention", width, width))
        if level + 1 < len(sizes.multipliers):
            layers.append(("down", width, width))
            resolution //= 2
    middle = [("residual", width, width), ("attention", width, width), ("residual", width, width)]
    last = [("norm", width, width), ("convolution", width, sizes.embedding_width)]
    return layers + middle + last


def generator_layers(sizes):
    """(kind, input channels, output channels) of each published `ae.generator.blocks`."""
    width = sizes.base_width * sizes.multipliers[-1]
    embedding = sizes.embedding_width
    layers = [("norm", embedding, embedding)] if sizes.norm_first else []
    layers += [("convolution", embedding, width), ("residual", width, width)]
    layers += [("attention", width, width), ("residual", width, width)]
    for level in reversed(range(len(sizes.multipliers))):
        for _ in range(sizes.generator_blocks):
            layers.append(("residual", width, sizes.base_width * sizes.multipliers[level]))
            width = sizes.base_width * sizes.multipliers[level]
            if sizes.image_size // 2**level in sizes.attention:
                layers.append(("attention", width, width))
        if level:
            layers.append(("up", width, width))
    return [*layers, ("norm", width, width), ("convolution", width, sizes.image_channels)]


def random_autoencoder(sizes, seed=0):
    state = RandomState(seed)
    stacks = (("encoder", encoder_layers(sizes)), ("generator", generator_layers(sizes)))
    for stack, layers in stacks:
        for index, (kind, inputs, outputs) in enumerate(layers):
            _random_layer(state, f"ae.{stack}.blocks.{index}", kind, inputs, outputs)
    state.convolution("ae.quantize.proj.0", sizes.embedding_width, sizes.code_channels, 1)
    state.normal("ae.quantize.embed.weight", sizes.code_channels, sizes.embedding_width)
    if "logsigma" in sizes.extras:  # published, but never used
        width = sizes.base_width * sizes.multipliers[0]
        state.convolution("ae.generator.logsigma.0", width, width, 3)
        state.convolution("ae.generator.logsigma.2", width, sizes.image_channels, 1)
    if "disc" in sizes.extras:
        _random_critic(state, sizes)
    return state


def _random_layer(state, name, kind, inputs, outputs):
    if kind == "norm":
        state.norm(name, inputs)
    elif kind == "convolution":
        state.convolution(name, inputs, outputs, 3)
    elif kind in ("down", "up"):
        state.convolution(f"{name}.conv", inputs, outputs, 3)
    elif kind == "attention":
        state.norm(f"{name}.norm", inputs)
        for part in ("q", "k", "v", "proj_out"):
            state.convolution(f"{name}.{part}", inputs, inputs, 1)
    else:
        state.norm(f"{name}.norm1", inputs)
        state.convolution(f"{name}.conv1", inputs, outputs, 3)
        state.norm(f"{name}.norm2", outputs)
        state.convolution(f"{name}.conv2", outputs, outputs, 3)
        state.convolution(f"{name}.conv_out", inputs, outputs, 1)  # published in every block


def encode(state, sizes, images):
    """P(bit = 1), (batch, code channels, h, w), of images (batch, channels, height, width)."""
    features = _run_stack(state, "ae.encoder", encoder_layers(sizes), images)
    return torch.sigmoid(apply(F.conv2d, state, "ae.quantize.proj.0", features))


def decode(state, sizes, codes):
    """Images, not clipped, of bits (batch, code channels, h, w)."""
    embedded = torch.einsum("bchw,cd->bdhw", codes, state["ae.quantize.embed.weight"])
    return _run_stack(state, "ae.generator", generator_layers(sizes), embedded)


def _run_stack(state, stack, layers, x):
    for index, (kind, inputs, outputs) in enumerate(layers):
        name = f"{stack}.blocks.{index}"
        if kind == "norm":
            x = _group_norm(state, name, x)
        elif kind == "convolution":
            x = apply(F.conv2d, state, name, x, padding=1)
        elif kind == "down":
            x = apply(F.conv2d, state, f"{name}.conv", F.pad(x, (0, 1, 0, 1)), stride=2)
        elif kind == "up":
            x = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
            x = apply(F.conv2d, state, f"{name}.conv", x, padding=1)
        elif kind == "attention":
            x = x + _image_attention(state, name, x)
        else:
            y = F.silu(_group_norm(state, f"{name}.norm1", x))
            y = apply(F.conv2d, state, f"{name}.conv1", y, padding=1)
            y = F.silu(_group_norm(state, f"{name}.norm2", y))
            y = apply(F.conv2d, state, f"{name}.conv2", y, padding=1)
            x = y + (apply(F.conv2d, state, f"{name}.conv_out", x) if inputs != outputs else x)
    return x


def _group_norm(state, name, x):
    return F.group_norm(x, 32, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)


def _image_attention(state, name, x):
    normed = _group_norm(state, f"{name}.norm", x)
    query, key, value = (
        apply(F.conv2d, state, f"{name}.{part}", normed).flatten(2).transpose(1, 2)
        for part in ("q", "k", "v")
    )
    attended = _attend(query, key, value, 1).transpose(1, 2).reshape(x.shape)
    return apply(F.conv2d, state, f"{name}.proj_out", attended)


def critic_widths(sizes):
    return [sizes.critic_width * min(2**n, 8) for n in range(sizes.critic_layers + 1)]


def _random_critic(state, sizes):
    widths = critic_widths(sizes)
    state.convolution("disc.main.0", sizes.image_channels, widths[0], 4)
    for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False)):
        state.convolution(f"disc.main.{2 + 3 * layer}", inputs, outputs, 4, bias=False)
        norm = f"disc.main.{3 + 3 * layer}"
        state.norm(norm, outputs)
        state.normal(f"{norm}.running_mean", outputs, scale=0.1)
        state.normal(f"{norm}.running_var", outputs, scale=0.05, shift=1.0)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    state.convolution(f"disc.main.{2 + 3 * sizes.critic_layers}", widths[-1], 1, 4)


def criticise(state, sizes, images):
    """Logits (batch, 1, h, w) with running statistics."""
    x = F.leaky_relu(apply(F.conv2d, state, "disc.main.0", images, stride=2, padding=1), 0.2)
    for layer in range(sizes.critic_layers):
        stride = 1 if layer + 1 == sizes.critic_layers else 2
        name, norm = f"disc.main.{2 + 3 * layer}", f"disc.main.{3 + 3 * layer}"
        x = apply(F.conv2d, state, name, x, stride=stride, padding=1)
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        x = F.batch_norm(x, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"])
        x = F.leaky_relu(x, 0.2)
    return apply(F.conv2d, state, f"disc.main.{2 + 3 * sizes.critic_layers}", x, padding=1)
