import pytest

from keras_bld.base.files import replace_directory

pytestmark = pytest.mark.once


def write(target, text, fail=False):
    with replace_directory(target, "marker", ("marker", "content")) as folder:
        (folder / "content").write_text(text)
        if fail:
            raise OSError("disk full")
        (folder / "marker").write_text("")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


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
