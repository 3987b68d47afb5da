import json
import os
import shutil
import subprocess
import sys

import pytest

from keras_bld.base import files
from keras_bld.base.files import (
    replace_directory,
    replacing,
    user_path,
    write_json,
    write_text,
)

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


@pytest.fixture
def process():
    """A process that lives, and the number of one that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield alive.pid, ended.pid
    alive.communicate(b"\n")


def test_the_next_process_that_writes_in_a_folder_removes_what_killed_ones_left(process, tmp_path):
    alive, ended = process
    (tmp_path / "whole.png").touch()
    with replacing(tmp_path / "shard.png") as new:
        assert new.name.startswith(".") and new.name.endswith(".shard.png")
        new.touch()
    files._swept.clear()
    host, _, token = new.name.split(".")[2].split("-")
    owners = {
        "dead": f"{host}-{ended}",
        "alive": f"{host}-{alive}",
        "before us": f"{host}-{os.getpid()}",
        "far away": f"{'0' * 8}-{ended}",
        "far away, long ago": f"{'1' * 8}-{ended}",
    }
    left = {name: tmp_path / f".partial.{owner}-{token}.0.png" for name, owner in owners.items()}
    for path in left.values():
        path.touch()
    os.utime(left["far away, long ago"], (0, 0))
    (tmp_path / ".partial.of something else").touch()
    with replacing(tmp_path / "shard.png") as new:
        new.touch()
        files.remove_leftovers(tmp_path)
        assert new.exists()
    assert {name for name, path in left.items() if path.exists()} == {"alive", "far away"}
    assert {"whole.png", "shard.png", ".partial.of something else"} <= set(names(tmp_path))


def write(target, text, fail=False):
    with replace_directory(target, "marker", ("marker", "content")) as folder:
        (folder / "content").write_text(text)
        if fail:
            raise OSError("disk full")
        (folder / "marker").write_text("")


def test_a_new_directory_with_its_parents(tmp_path):
    write(tmp_path / "a" / "b", "one")
    assert names(tmp_path / "a" / "b") == ["content", "marker"]
    assert names(tmp_path / "a") == ["b"]


def test_replacing_keeps_files_of_others(tmp_path):
    write(tmp_path / "b", "one")
    (tmp_path / "b" / "card.json").write_text("card")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    write(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "b" / "content").read_text() == "two"
    assert names(tmp_path / "b") == ["card.json", "content", "marker"]
    assert names(tmp_path) == ["b", "link"]


def test_a_failure_leaves_the_old_or_nothing(tmp_path):
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "b", "one", fail=True)
    assert names(tmp_path) == []
    write(tmp_path / "b", "one")
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "b", "two", fail=True)
    assert (tmp_path / "b" / "content").read_text() == "one"
    assert names(tmp_path) == ["b"]


def test_a_failed_rename_puts_the_old_one_back(tmp_path, monkeypatch):
    write(tmp_path / "b", "one")
    rename = replace_directory.__wrapped__.__globals__["os"].rename

    def fail_for_the_new_one(source, target):
        if str(source).endswith(".partial"):
            raise OSError("no rename")
        rename(source, target)

    monkeypatch.setattr("os.rename", fail_for_the_new_one)
    with pytest.raises(OSError, match="no rename"):
        write(tmp_path / "b", "two")
    assert (tmp_path / "b" / "content").read_text() == "one"
    assert names(tmp_path) == ["b"]


def test_foreign_directories_and_files_are_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    (tmp_path / "file").write_text("")
    for name in ("photos", "file"):
        with pytest.raises(ValueError, match="Invalid `directory`.* Fix: "):
            write(tmp_path / name, "one")
    assert names(tmp_path / "photos") == ["cat.png"]
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "one")
    assert names(tmp_path / "empty") == ["content", "marker"]


@pytest.mark.parametrize("killed", ["while writing", "between the renames", "before the end"])
def test_the_next_writer_finishes_what_a_killed_one_began(killed, tmp_path, monkeypatch):
    write(tmp_path / "b", "one")
    (tmp_path / "b" / "card.json").write_text("card")
    (tmp_path / "b" / "deep").mkdir()
    left = {"while writing": ".partial", "between the renames": ".old", "before the end": ".old"}

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # no clean-up: the process is gone
        if killed == "while writing":
            with pytest.raises(Killed), replace_directory(tmp_path / "b", "marker", ()) as new:
                (new / "content").write_text("half")
                raise Killed
        else:
            renames = {"between the renames": 1, "before the end": 2}[killed]
            rename = os.rename

            def rename_or_die(*paths):
                nonlocal renames
                renames -= 1
                rename(*paths) if renames >= 0 else die()

            patch.setattr(os, "rename", rename_or_die)
            with pytest.raises(Killed):
                write(tmp_path / "b", "two")
    assert any(name.endswith(left[killed]) for name in names(tmp_path))
    assert (tmp_path / "b").exists() == (killed != "between the renames")
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "b", "three", fail=True)
    assert names(tmp_path) == ["b"]
    assert names(tmp_path / "b") == ["card.json", "content", "deep", "marker"]
    content = {"before the end": "two"}.get(killed, "one")
    assert (tmp_path / "b" / "content").read_text() == content


def test_what_another_process_is_writing_stays(tmp_path):
    with replace_directory(tmp_path / "b", "marker", ("content",)) as first:
        (first / "content").write_text("first")
        write(tmp_path / "b", "second")
        assert first.exists()
        (first / "marker").touch()
    assert (tmp_path / "b" / "content").read_text() == "first" and names(tmp_path) == ["b"]


@pytest.mark.parametrize("path", ["a" * 5000, "~nobody_of_this_name/x", "a\0b", "loop", "loop/x"])
def test_what_no_file_can_be_called(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    with pytest.raises(ValueError, match="Invalid `preset`.*Fix: check the path"):
        user_path(path, "preset")


def test_other_paths_are_taken_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a") == tmp_path / "a"
    assert user_path(tmp_path / "none" / "\u00e9") == tmp_path / "none" / "\u00e9"


def test_a_full_disk_says_what_to_do_and_leaves_nothing(tmp_path, full_disk):
    (tmp_path / "old").write_text("old")
    for write in (
        lambda: write_text(tmp_path / "old", "x" * 10**5),
        lambda: write_folder(tmp_path / "folder", "x" * 10**5),
    ):
        with pytest.raises(OSError, match=f"`{tmp_path}`, where nothing can be written.*Fix: make"):
            write()
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "old"


def test_what_gets_its_name_is_on_the_disk_before(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: done.append(os.readlink(f"/proc/self/fd/{handle}"))
    )
    for name in ("replace", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *paths, real=real: (done.append("name"), real(*paths)))
    write_text(tmp_path / "file", "x")
    assert [os.path.basename(each)[-5:] for each in done] == [".file", "name", tmp_path.name[-5:]]
    done.clear()
    write_folder(tmp_path / "folder", "x")
    assert [os.path.basename(each)[-7:] for each in done] == [
        "marker", "partial", "name", tmp_path.name[-7:],
    ]  # fmt: skip


def test_a_place_below_a_file_says_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    for write in (
        lambda: write_text(tmp_path / "file" / "x", "x"),
        lambda: write_folder(tmp_path / "file" / "x", "x"),
    ):
        with pytest.raises(OSError, match="where nothing can be written.*Fix: "):
            write()


def test_errors_of_reading_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file"), replacing(tmp_path / "x"):
        (tmp_path / "none").read_text()


def write_folder(path, text):
    with replace_directory(path, "marker", ("marker",)) as folder:
        (folder / "marker").write_text(text)
