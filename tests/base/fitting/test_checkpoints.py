import json
import shutil
import zipfile

import numpy as np
import pytest

from keras_bld.base.fitting.checkpoints import Checkpoints

pytestmark = pytest.mark.once
ARRAYS = [
    ("kernel", np.arange(6, dtype="float32").reshape(2, 3)),
    ("kernel", np.float32(0.5)),  # names may repeat; a scalar
    ("seed", np.array([7, 2**32 - 1], "uint32")),
    ("none", np.zeros((0, 2), "float32")),
    ("step", np.array(3, "int64")),
]
POSITION = {"history": [{"epoch": 0, "loss": 1 / 3}]}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    checkpoints = Checkpoints(tmp_path_factory.mktemp("two"))
    for step in (10, 20):
        checkpoints.write(step, ARRAYS, {**POSITION, "step": step})
    return checkpoints


@pytest.fixture
def copied(written, tmp_path):
    shutil.copytree(written.folder, tmp_path / "copy")
    return Checkpoints(tmp_path / "copy")


def test_what_was_written_comes_back(written):
    step, arrays, position = written.newest(ARRAYS)
    assert step == 20 and position == {**POSITION, "step": 20}
    for array, (_, wanted) in zip(arrays, ARRAYS, strict=True):
        assert array.dtype == wanted.dtype and array.shape == wanted.shape
        np.testing.assert_array_equal(array, wanted)


def test_no_checkpoint(tmp_path):
    (tmp_path / "000000001.checkpoint.zip.damaged").touch()
    (tmp_path / "\u00b20000000.checkpoint.zip").touch()
    assert Checkpoints(tmp_path).newest(ARRAYS) is None
    assert Checkpoints(tmp_path / "none").newest(ARRAYS) is None


def test_those_of_an_earlier_version_are_said_to_be_left(tmp_path, capsys):
    for name in ("000012.checkpoint.weights.h5", "partial.checkpoint.weights.h5"):
        (tmp_path / name).touch()
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.newest(ARRAYS) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert "2 checkpoint(s) of an earlier version" in line and "at its first step" in line
    checkpoints.write(10, ARRAYS, {})
    assert checkpoints.newest(ARRAYS)[0] == 10
    assert not capsys.readouterr().out


def test_the_last_ones_stay_and_every_so_many_for_good(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2, keep_every=30)
    for step in range(10, 110, 10):
        checkpoints.write(step, ARRAYS[:1], {})
    assert checkpoints.steps() == [30, 60, 90, 100]


def test_every_byte_counts(copied, capsys):
    """A bit anywhere in the newest one, or its end cut off: the one before it, or the same."""
    path = copied.path(20)
    content = path.read_bytes()
    for place in (*range(0, len(content), 17), None):
        damaged = bytearray(content)
        if place is None:
            damaged = damaged[: len(content) // 2]
        else:
            damaged[place] ^= 16
        path.write_bytes(damaged)
        step, arrays, _ = copied.newest(ARRAYS)
        for array, (_, wanted) in zip(arrays, ARRAYS, strict=True):
            np.testing.assert_array_equal(array, wanted)
        assert step in (10, 20)
    assert step == 10 and not path.exists()
    assert f"WARNING: {path} is damaged" in capsys.readouterr().out


def test_all_damaged(copied):
    for step in (10, 20):
        copied.path(step).write_bytes(b"")
    message = f"`{copied.path(20)}`: .*Fix: delete the folder {copied.folder} and run the same"
    with pytest.raises(ValueError, match=message):
        copied.newest(ARRAYS)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        (ARRAYS[1:], "it holds 5 arrays, this training has 4"),
        ([("kernel", np.zeros((3, 2), "float32")), *ARRAYS[1:]], "`kernel` is .'float32', .2, 3"),
        ([("kernel", np.zeros((2, 3), "int32")), *ARRAYS[1:]], "this training has `kernel` .'int3"),
    ],
)
def test_another_training(arrays, reason, written):
    with pytest.raises(ValueError, match=reason):
        written.newest(arrays)


def test_a_file_that_claims_more_than_it_holds(copied):
    """Nothing is made of sizes in the file: what is expected is compared with what is there."""
    for step in (10, 20):
        with zipfile.ZipFile(copied.path(step), "w") as archive:
            huge = [["kernel", "float32", [10**6, 10**6]]]
            record = {"step": step, "arrays": huge, "position": {}}
            archive.writestr("record.json", json.dumps(record))
            archive.writestr("0", b"1234")
    with pytest.raises(ValueError, match="holds 1 arrays"):
        copied.newest(ARRAYS)
    with pytest.raises(ValueError, match=r"`kernel` is .*1000000"):
        copied.newest(ARRAYS[:1])


def test_values_that_are_not_finite_are_no_state_to_go_on_from(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(1, ARRAYS[:1], {})
    checkpoints.write(2, [("kernel", ARRAYS[0][1] * np.nan)], {})
    assert checkpoints.newest(ARRAYS[:1])[0] == 1
    assert "NaN or infinity in `kernel`" in capsys.readouterr().out
