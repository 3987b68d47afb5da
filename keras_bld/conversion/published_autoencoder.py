"""The architecture that the names and shapes of a published autoencoder imply."""

import re
from dataclasses import dataclass

from keras_bld.base import checks
from keras_bld.conversion import names
from keras_bld.conversion.published_state import missing_tensors

# One letter for each kind of layer, so that a stack of layers is matched like a word.
_LETTERS = {"convolution": "c", "residual": "r", "attention": "a", "resampling": "s", "norm": "n"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_ENCODER = re.compile(r"c(?P<levels>[ras]+)rarnc")
_GENERATOR = re.compile(r"(?P<norm_first>n?)crar(?P<levels>[ras]+)nc")
_LEVEL = re.compile(r"r+|(ra)+")  # attention after every residual block, or after none
_TABLES = {
    "c": (("", "", names.CONV),),
    "n": (("", "", names.NORM),),
    "r": names.RESIDUAL_BLOCK,
    "a": names.ATTENTION_BLOCK,
    "s": names.RESAMPLING,
}


@dataclass(frozen=True)
class Stack:
    """A published encoder or generator: its layers as letters, its levels finest first.

    Attributes:
        layers: "c", "r", "a", "s" or "n" for `blocks.0`, `blocks.1`, ...
        widths: channels of each level.
        num_blocks: residual blocks of each level.
        has_attention: for each level, whether attention follows its residual blocks.
        norm_first: whether a generator starts with a normalisation.
        in_channels, out_channels: of the whole stack.
        first_width: channels after the first convolution.
    """

    layers: str
    widths: tuple
    num_blocks: int
    has_attention: tuple
    norm_first: bool
    in_channels: int
    out_channels: int
    first_width: int


def read_stack(state, prefix):
    """Read "ae.encoder." or "ae.generator.".

    Raises:
        ValueError: missing tensors, or an order of layers that is not the published one.
    """
    is_encoder = prefix == "ae.encoder."
    layers = _layers(state, prefix + "blocks.")
    match = (_ENCODER if is_encoder else _GENERATOR).fullmatch(layers)
    levels = match["levels"].split("s") if match else []
    regular = all(_LEVEL.fullmatch(level) for level in levels)
    counts = {level.count("r") for level in levels}
    if not match or not regular or len(counts) != 1:
        spelled = ", ".join(_KINDS[letter] for letter in layers)
        raise checks.error(
            "state_dict",
            f"`{prefix}blocks` in the order {spelled}",
            "the published order: levels of equally many residual blocks, with attention after"
            " each of them or none, resampling between levels, then (or first) the middle",
            "pass the whole published checkpoint",
        )
    widths, position = [], match.start("levels")
    for level in levels:
        name = f"{prefix}blocks.{position}.conv1.weight"
        widths.append(state.shape(name, 4)[0])
        position += len(level) + 1
    norm_first = layers[0] == "n"
    first = state.shape(f"{prefix}blocks.{int(norm_first)}.weight", 4)
    last = state.shape(f"{prefix}blocks.{len(layers) - 1}.weight", 4)
    finest_first = slice(None) if is_encoder else slice(None, None, -1)
    return Stack(
        layers=layers,
        widths=tuple(widths[finest_first]),
        num_blocks=counts.pop(),
        has_attention=tuple("a" in level for level in levels)[finest_first],
        norm_first=norm_first,
        in_channels=first[1],
        out_channels=last[0],
        first_width=first[0],
    )


def stack_rows(stack, blocks, prefix, path):
    """(canonical published name, path, layout) of every variable of a stack of layers.

    Args:
        stack: the `Stack`.
        blocks: our layers, in the same order.
        prefix: "ae.encoder." or "ae.generator.".
        path: "encoder." or "decoder.".
    """
    rows = []
    for index, letter in enumerate(stack.layers):
        table = _TABLES[letter]
        if letter == "r" and blocks[index].shortcut is not None:
            table += names.SHORTCUT
        # The tables of plain layers have no names of their own, hence no dot.
        dot = "" if letter in "cn" else "."
        rows += names.expand(table, f"{prefix}blocks.{index}{dot}", f"{path}blocks.{index}{dot}")
    return rows


def _layers(state, prefix):
    indices = state.indices(prefix)
    letters = []
    for index in range(max(indices, default=-1) + 1):
        start = f"{prefix}{index}."
        if index not in indices:
            raise missing_tensors([f"{start}*"], state)
        letters.append(_letter(state, start))
    return "".join(letters)


def _letter(state, start):
    parts = {
        name[len(start) :].rpartition(".")[0] for name in state.arrays if name.startswith(start)
    }
    if parts & {"norm1", "conv1", "norm2", "conv2"}:
        return "r"
    if parts & {"norm", "q", "k", "v", "proj_out"}:
        return "a"
    if "conv" in parts:
        return "s"
    if start + "weight" not in state.arrays:
        raise missing_tensors([start + "weight"], state)
    return "c" if state.arrays[start + "weight"].ndim == 4 else "n"
