import pytest

from keras_bld.conversion import names

pytestmark = pytest.mark.once


def test_expand_names_every_tensor_of_a_layer():
    rows = names.expand((("q", "query", names.CONV_1X1), ("g", "scale", names.TENSOR)), "a.", "b.")
    assert rows == [
        ("a.q.weight", "b.query.kernel", "oi11 -> io"),
        ("a.q.bias", "b.query.bias", "as stored"),
        ("a.g", "b.scale", "as stored"),
    ]


def test_no_name_and_no_path_twice():
    """Two published tensors for one variable, or the other way round, would go unnoticed."""
    condition = names.CONDITION["token"]
    tables = [
        names.DENOISER + condition + names.BITS,
        names.TRANSFORMER_BLOCK + names.CROSS_ATTENTION,
        names.RESIDUAL_BLOCK + names.SHORTCUT,
        names.ATTENTION_BLOCK,
        names.RESAMPLING,
        (("norm", "norm", names.BATCH_NORM),),
    ]
    for table in tables:
        rows = names.expand(table)
        for column in range(2):
            assert len({row[column] for row in rows}) == len(rows)
