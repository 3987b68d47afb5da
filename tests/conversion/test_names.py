import pytest
from harness import PROJECT_ROOT

from keras_bld.conversion import names

pytestmark = pytest.mark.once


TABLES = (
    names.DENOISER + names.CONDITION["token"] + names.BITS,
    names.TRANSFORMER_BLOCK + names.CROSS_ATTENTION,
    names.RESIDUAL_BLOCK + names.SHORTCUT,
    names.ATTENTION_BLOCK,
    names.RESAMPLING,
)


def test_expand_names_every_tensor_of_a_layer():
    rows = names.expand((("q", "query", names.CONV_1X1), ("g", "scale", names.TENSOR)), "a.", "b.")
    assert rows == [
        ("a.q.weight", "b.query.kernel", "oi11 -> io"),
        ("a.q.bias", "b.query.bias", "as stored"),
        ("a.g", "b.scale", "as stored"),
    ]


def test_no_name_and_no_path_twice():
    """Two published tensors for one variable, or the other way round, would go unnoticed."""
    for table in (*TABLES, (("norm", "norm", names.BATCH_NORM),)):
        rows = names.expand(table)
        for column in range(2):
            assert len({row[column] for row in rows}) == len(rows)


def test_manual_lists_every_name():
    text = (PROJECT_ROOT / "docs/conversion.md").read_text().replace("`blocks.N.", "`")
    for table in TABLES:
        for published, path, _ in table:
            assert f"`{published.removesuffix('.weight')}`" in text
            assert f"`{path}`" in text
