"""The report of a conversion: what went where, for people and for tests."""

import math
import re
from dataclasses import dataclass, field

from keras_bld.base import checks

_TORCH_TENSORS = "weight|bias|running_mean|running_var"
_KERAS_TENSORS = "kernel|bias|embeddings|gamma|beta|moving_mean|moving_variance"


@dataclass(frozen=True)
class PlacedTensor:
    """One published tensor and the variable that it was assigned to.

    Attributes:
        name: name in the checkpoint, prefixes included.
        path: attribute path in our model, e.g. "denoiser.blocks.0.attention.projection.kernel".
        shape: shape in the checkpoint.
        layout: how the axes were turned, e.g. "oi -> io".
    """

    name: str
    path: str
    shape: tuple
    layout: str


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion inferred, where every tensor went, and what was left over and why.

    Attributes:
        model: class name of the model that was built.
        sizes: what was inferred from names and shapes.
        placed: one `PlacedTensor` for each tensor used.
        left_over: name in the checkpoint -> reason why the tensor is not in the model.
    """

    model: str
    sizes: dict = field(default_factory=dict)
    placed: tuple = ()
    left_over: dict = field(default_factory=dict)

    @property
    def num_weights(self):
        """Numbers placed in the model."""
        return sum(math.prod(tensor.shape) for tensor in self.placed)

    def tables(self):
        """Rich tables for the terminal: sizes, what went where, what was left over.

        The tensors of a layer (`weight`, `bias`) and layers that differ only in a number
        (`blocks.0`, `blocks.1`, ...) share a row.
        """
        sizes = _table(self.model, "size, as the file has it", "value")
        for name, value in self.sizes.items():
            _add_row(sizes, name, str(value))
        placed = _table("What went where", "published\n  here", "layout", "tensors", "weights")
        for (name, path), tensors in _grouped(
            self.placed,
            lambda tensor: (
                _layer(tensor.name, _TORCH_TENSORS),
                _layer(tensor.path, _KERAS_TENSORS),
            ),
        ).items():
            layouts = dict.fromkeys(tensor.layout for tensor in tensors)
            turned = [layout for layout in layouts if "->" in layout]  # a bias never is
            layout = ", ".join(turned or layouts)
            _add_row(placed, f"{name}\n  {path}", layout, *_counts(tensors))
        placed.add_section()
        placed.add_row("all", "", *_counts(self.placed))
        left_over = _table("Left over", "published", "why it is not in the model", "tensors")
        for (name, reason), names in _grouped(
            self.left_over, lambda name: (_layer(name, _TORCH_TENSORS), self.left_over[name])
        ).items():
            _add_row(left_over, name, reason, str(len(names)))
        return [sizes, placed, left_over] if self.left_over else [sizes, placed]


def _table(title, *columns):
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left")
    for column in columns:
        # A name that is too long is folded: a cut one could not be found in the file.
        number = column in ("tensors", "weights")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table


def _add_row(table, *cells):
    """Add cells that show texts of a file as they are: no markup, nothing that a terminal obeys."""
    from rich.text import Text

    table.add_row(*[Text(checks.printable(cell, keep="\n")) for cell in cells])


def _counts(tensors):
    return str(len(tensors)), f"{sum(math.prod(tensor.shape) for tensor in tensors):,}"


def _layer(name, tensors):
    """The layer's name without the tensor's, with stars for the numbers of blocks."""
    layer = re.sub(rf"\.({tensors})$", "", name)
    return re.sub(r"\b(blocks|main)\.\d+", r"\1.*", layer)


def _grouped(items, key):
    groups = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
