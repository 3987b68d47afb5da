import json

import pytest

from keras_bld.base.files import remove_leftovers, replacing, write_json, write_text

pytestmark = pytest.mark.once


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "weights.tar.gz"
    path.write_text("old")
    with replacing(str(path)) as new:
        assert new.parent == tmp_path and new.name.endswith(".weights.tar.gz")
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and names(tmp_path) == ["weights.tar.gz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_in_the_middle_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as new:
        new.write_text("half")
        raise error
    assert path.read_text() == "old" and names(tmp_path) == ["table.csv"]
    with pytest.raises(error), replacing(tmp_path / "never_there.csv"):
        raise error
    assert names(tmp_path) == ["table.csv"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "table.csv"):
        pass


def test_text_and_json(tmp_path):
    write_text(tmp_path / "a" / "b" / "page.md", "5 ± 1\n")
    assert (tmp_path / "a" / "b" / "page.md").read_bytes() == "5 ± 1\n".encode()
    path = tmp_path / "card.json"
    write_json(path, {"b": [1, None], "a": 0.5})
    assert path.read_text() == '{\n  "b": [\n    1,\n    null\n  ],\n  "a": 0.5\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"b": object()})
    assert json.loads(path.read_text())["a"] == 0.5


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    with pytest.raises(SystemExit), replacing(tmp_path / "shard") as new:
        kept = new.with_name("partial.1.shard")  # as a killed process leaves it
        kept.write_text("half")
        (tmp_path / "whole").touch()
        raise SystemExit
    assert names(tmp_path) == ["partial.1.shard", "whole"]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["whole"]
