import math

import pytest

from keras_bld.base.fitting.history import HistoryTable, read_history

pytestmark = pytest.mark.once


def test_rows_are_numbers(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\r\n0,0.5\r\n1,NA\r\n")
    first, second = read_history(path)
    assert first == {"epoch": 0.0, "loss": 0.5}
    assert second["epoch"] == 1.0 and math.isnan(second["loss"])


def test_a_row_that_a_killed_program_began_goes(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n0,0.5\n1,0.2")
    assert len(read_history(path)) == 1


def test_a_table_is_whole_after_each_epoch_and_goes_on_from_rows(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n0,0.5\n1,0.25\n2,0.125\n")  # more than the rows to go on from
    table = HistoryTable(path, [{"epoch": 0, "loss": 0.5}])
    table.on_train_begin()
    assert len(read_history(path)) == 1
    table.on_epoch_end(1, {"val_loss": 2, "loss": 1 / 3})
    assert path.read_text() == f"epoch,loss\n0,0.5\n1,{1 / 3}\n"
    table.rows.clear()
    table.on_epoch_end(0, {"val_loss": 2, "loss": 1})
    assert path.read_text() == "epoch,loss,val_loss\n0,1.0,2.0\n"


@pytest.mark.parametrize(
    "content",
    [b"epoch,loss\n0,x\n", b"epoch,loss\n0\n", b"epoch,loss\n0,1,2\n", b"\xff\xfe\n\0\n",
     b"epoch,loss\n\0,1\n", b'epoch,loss\n"0,1\n', b"epoch,loss\n0," + b"1" * 200_000 + b"\n"],
)  # fmt: skip
def test_a_damaged_table_is_named(content, tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="history.csv`, a damaged table.*Fix: delete the file"):
        read_history(path)


def test_an_empty_table_has_no_rows(tmp_path):
    (tmp_path / "history.csv").write_bytes(b"")
    assert read_history(tmp_path / "history.csv") == []
