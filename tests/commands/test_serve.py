import os

import pytest

pytest.importorskip("fastapi")
from keras_bld.__main__ import main
from keras_bld.commands.serve import _api_key
from keras_bld.serving.service import program as programs
from keras_bld.serving.service import server

pytestmark = pytest.mark.on_tensorflow


def test_the_key_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BLD_API_KEY", raising=False)
    assert _api_key(None) is None
    monkeypatch.setenv("KERAS_BLD_API_KEY", "from outside")
    assert _api_key(None) == "from outside"
    (tmp_path / "key").write_text("  from a file\nnot this\n")
    assert _api_key(tmp_path / "key") == "from a file"
    (tmp_path / "key").write_text("\n")
    with pytest.raises(ValueError, match="Invalid `api-key-file`: received .* without a key"):
        _api_key(tmp_path / "key")


def test_options_reach_the_service(monkeypatch):
    served = []
    monkeypatch.delenv("KERAS_BLD_API_KEY", raising=False)
    monkeypatch.setattr(programs, "program_of", lambda preset, say, decoder: (preset, decoder))
    monkeypatch.setattr(server, "listen", lambda host, port: (host, port))
    monkeypatch.setattr(server, "serve", lambda *arguments: served.append(arguments))
    words = "serve bld_digits_16 --port 0 --max-count 4 --max-queue 9 --precision float32"
    main([*words.split(), "--decoder", "small"])
    ((program, settings, address, key),) = served
    assert (program, address, key) == (("bld_digits_16", "small"), ("127.0.0.1", 0), None)
    assert (settings.max_count, settings.max_queue, settings.precision) == (4, 9, "float32")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("bld_nothing", "Invalid `preset`"),
        ("bld_digits_16 --max-queue 3", "Invalid `max_queue`"),
        ("bld_digits_16 --host 192.0.2.1", "Invalid `port`: received 192.0.2.1"),
    ],
)
def test_what_cannot_be_is_one_line(words, message, monkeypatch, tmp_path):
    monkeypatch.setenv(programs.ENVIRONMENT_VARIABLE, os.fspath(tmp_path))
    monkeypatch.setattr(programs, "write_program", lambda *_: None)
    monkeypatch.setattr(programs, "read_program", lambda *_: None)
    with pytest.raises(SystemExit, match=message):
        main(["serve", *words.split()])
