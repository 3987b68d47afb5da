import pytest
from rich.console import Console

from keras_bld.conversion import ConversionReport, PlacedTensor

pytestmark = pytest.mark.once

REPORT = ConversionReport(
    "BinaryLatentDiffusion",
    {"depth": 2, "code_shape": (4, 4, 16)},
    (
        PlacedTensor("m.blocks.0.mlp.0.weight", "blocks.0.hidden.kernel", (8, 3), "oi -> io"),
        PlacedTensor("m.blocks.0.mlp.0.bias", "blocks.0.hidden.bias", (8,), "as stored"),
        PlacedTensor("m.blocks.1.mlp.0.weight", "blocks.1.hidden.kernel", (8, 3), "oi -> io"),
        PlacedTensor("m.blocks.1.mlp.0.bias", "blocks.1.hidden.bias", (8,), "as stored"),
        PlacedTensor("m.pos_emb", "positions", (1, 1000), "as stored"),
    ),
    {"n.blocks.0.out.bias": "unused", "n.blocks.1.out.weight": "unused", "x": "unknown"},
)


def lines_of(report, width=80):
    console = Console(width=width)
    with console.capture() as capture:
        for table in report.tables():
            console.print(table)
    return [line.split() for line in capture.get().splitlines()]


def test_tensors_of_a_layer_and_equal_layers_share_a_row():
    assert REPORT.num_weights == 2 * (8 * 3 + 8) + 1000
    lines = lines_of(REPORT)
    row = lines.index(["m.blocks.*.mlp.0", "oi", "->", "io", "4", "64"])
    assert lines[row + 1] == ["blocks.*.hidden"]
    row = lines.index(["m.pos_emb", "as", "stored", "1", "1,000"])
    assert lines[row + 1] == ["positions"]
    assert ["all", "5", "1,064"] in lines
    assert ["n.blocks.*.out", "unused", "2"] in lines
    assert ["x", "unknown", "1"] in lines
    assert ["code_shape", "(4,", "4,", "16)"] in lines


def test_nothing_left_over_needs_no_table():
    titles = [table.title for table in ConversionReport("Model").tables()]
    assert titles == ["Model", "What went where"]
