"""The published autoencoder as lists of layers, written from the paper's description.

The peer is built from these lists and the operations are counted in them; our own networks do
not use them, so that a mistake here shows as a difference.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Layer(NamedTuple):
    """One published layer.

    Attributes:
        kind: "convolution" (3x3), "residual", "attention", "down", "up" or "norm".
        inputs, outputs: channels.
        size: (height, width) of its output.
    """

    kind: str
    inputs: int
    outputs: int
    size: tuple


@dataclass(frozen=True)
class AutoencoderSizes:
    """The sizes of a `BinaryAutoencoder`, under the names of its arguments."""

    image_shape: tuple
    code_channels: int
    base_width: int = 128
    width_multipliers: tuple = (1, 1, 2, 2, 4)
    num_blocks: int = 2
    decoder_num_blocks: int | None = None
    attention_resolutions: tuple = (16,)
    embedding_width: int = 256
    num_groups: int = 32

    @property
    def code_shape(self):
        """(height, width, bits)."""
        return (*self._size(len(self.width_multipliers) - 1), self.code_channels)

    def encoder_layers(self):
        """Layers of the published `ae.encoder.blocks`."""
        layers = [Layer("convolution", self.image_shape[2], self.base_width, self._size(0))]
        width = self.base_width
        for level, multiplier in enumerate(self.width_multipliers):
            size, next_width = self._size(level), self.base_width * multiplier
            layers += self._level(self.num_blocks, width, next_width, size)
            width = next_width
            if level + 1 < len(self.width_multipliers):
                layers.append(Layer("down", width, width, self._size(level + 1)))
        layers += _middle(width, size)
        layers.append(Layer("norm", width, width, size))
        layers.append(Layer("convolution", width, self.embedding_width, size))
        return layers

    def decoder_layers(self):
        """Layers of the published `ae.generator.blocks`."""
        last_level = len(self.width_multipliers) - 1
        size, embedding = self._size(last_level), self.embedding_width
        width = self.base_width * self.width_multipliers[-1]
        layers = [Layer("norm", embedding, embedding, size)]
        layers.append(Layer("convolution", embedding, width, size))
        layers += _middle(width, size)
        for level in range(last_level, -1, -1):
            size, next_width = self._size(level), self.base_width * self.width_multipliers[level]
            num_blocks = self.decoder_num_blocks or self.num_blocks
            layers += self._level(num_blocks, width, next_width, size)
            width = next_width
            if level:
                layers.append(Layer("up", width, width, self._size(level - 1)))
        layers.append(Layer("norm", width, width, size))
        layers.append(Layer("convolution", width, self.image_shape[2], size))
        return layers

    def _size(self, level):
        return (self.image_shape[0] // 2**level, self.image_shape[1] // 2**level)

    def _level(self, num_blocks, width, next_width, size):
        layers = []
        for _ in range(num_blocks):
            layers.append(Layer("residual", width, next_width, size))
            width = next_width
            if size[0] in self.attention_resolutions:
                layers.append(Layer("attention", width, width, size))
        return layers


def _middle(width, size):
    kinds = ("residual", "attention", "residual")
    return [Layer(kind, width, width, size) for kind in kinds]
