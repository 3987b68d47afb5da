import dataclasses
import subprocess
import sys

import pytest
from harness import PROJECT_ROOT
from rich.console import Console

from keras_bld.__main__ import COMMANDS, main
from keras_bld.commands.presets import presets_table
from keras_bld.zoo.catalogue import CATALOGUE

pytestmark = pytest.mark.once


def text_of(rows, width=80):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(presets_table(rows))
    return capture.get()


def test_every_row_fits_80_columns():
    text = text_of(CATALOGUE)
    assert max(len(line) for line in text.splitlines()) <= 80
    for row in CATALOGUE:
        assert row.name in text
    imagenet = next(line for line in text.splitlines() if "bld_imagenet_256" in line)
    assert imagenet.split() == ["bld_imagenet_256", "256", "/", "16", "24x768x12,", "64", "235.4",
                                "M", "no"]  # fmt: skip


def test_texts_of_files_are_shown_as_they_are():
    row = dataclasses.replace(CATALOGUE[0], metric="[bold]a\x1b[31mb\n\u202ec :smile: [/nope]")
    lines = text_of([row], 200)
    assert r"[bold]a\x1b[31mb\n\u202ec :smile: [/nope]" in lines and "\x1b" not in lines


def test_a_damaged_one_says_why():
    row = dataclasses.replace(CATALOGUE[0], damage="no `format`")
    assert "damaged: no `format`" in text_of([row], 200)


def test_whose_autoencoder_it_has():
    row = dataclasses.replace(CATALOGUE[0], metric="FID 1", shares_autoencoder_with="bld_older")
    assert "FID 1; shares the autoencoder of bld_older" in text_of([row], 200)


def test_an_empty_table_prints():
    assert "preset" in text_of([])


def test_the_command_as_a_user_calls_it():
    command = [sys.executable, "-m", "keras_bld", "presets"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT)
    assert finished.returncode == 0, finished.stderr
    assert "bld_celeba_hq_1024" in finished.stdout
    assert "with weights" in finished.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [([], "presets"), (["preset"], "presets"), (["presets", "--all"], "Unrecognized options")],
)
def test_a_wrong_command_ends_with_a_message(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for name in COMMANDS:
        assert name in printed
