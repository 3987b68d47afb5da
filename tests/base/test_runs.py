import dataclasses
import json
import shlex
import signal

import pytest

from keras_bld.base.runs import claim_folder, command_line, option, short_errors
from keras_bld.training.recipe import Recipe

pytestmark = pytest.mark.once


@dataclasses.dataclass(frozen=True)
class Sampler:
    num_steps: int | None = None
    temperature: float = 0.9


@dataclasses.dataclass(frozen=True)
class Settings:
    folder: str = "photos"
    random_flip: bool = True
    widths: tuple[int, ...] = (1, 2)
    sampler: Sampler = Sampler(num_steps=16)
    seed: int = 0


def words_of(settings, **options):
    return shlex.split(command_line("python recipes/own.py", settings, **options))[2:]


def test_a_command_holds_what_differs_from_the_defaults():
    assert command_line("keras-bld evaluate", Settings()) == "keras-bld evaluate"
    changed = Settings("my photos", random_flip=False, widths=(1, 2, 4), seed=3)
    assert words_of(changed, left_out=("seed",)) == [
        *("--folder", "my photos", "--no-random-flip", "--widths", "1", "2", "4")
    ]


def test_a_command_holds_the_fields_of_a_dataclass_inside():
    """Compared with the value that the outer one has by default, not with the class's own."""
    assert words_of(Settings(sampler=Sampler(16, 0.5))) == ["--temperature", "0.5"]
    assert words_of(Settings(sampler=Sampler(8))) == ["--num-steps", "8"]
    sampling = dataclasses.replace(Recipe().sampling, guidance_scale=2.0)
    assert words_of(Recipe(sampling=sampling)) == ["--guidance-scale", "2.0"]


def test_a_folder_belongs_to_the_run_that_was_there_first(tmp_path):
    path = tmp_path / "run" / "settings.json"
    path.parent.mkdir()
    first = {"seed": 1, "sizes": (1, 2), "num_epochs": 3}
    claim_folder(path, first)
    claim_folder(path, {**first, "num_epochs": 9}, free=("num_epochs",))
    assert json.loads(path.read_text()) == {"seed": 1, "sizes": [1, 2], "num_epochs": 9}
    with pytest.raises(ValueError, match=r"other settings: seed=2 \(there: 1\); expected a new"):
        claim_folder(path, {**first, "seed": 2}, free=("num_epochs",))
    # A setting that came later had its default then.
    later = {**first, "sampler": {"num_steps": 16, "temperature": 0.9}}
    with pytest.raises(ValueError, match="sampler="):
        claim_folder(path, later, free=("num_epochs",))
    claim_folder(path, later, free=("num_epochs",), defaults={"sampler": Sampler(16)})
    assert json.loads(path.read_text())["sampler"]["num_steps"] == 16


@pytest.mark.parametrize(
    ("value", "in_python", "in_a_shell"),
    [
        ("skip", 'on_error="skip"', "--on-error skip"),
        ("two words", 'on_error="two words"', "--on-error 'two words'"),
        (3, "on_error=3", "--on-error 3"),
        (False, "on_error=False", "--no-on-error"),
        (True, "on_error=True", "--on-error"),
    ],
)
def test_an_option_as_it_is_typed(value, in_python, in_a_shell):
    assert option("on_error", value) == in_python
    with short_errors():
        assert option("on_error", value) == in_a_shell
    assert option("on_error", value) == in_python


def test_errors_of_a_command_are_one_line():
    with pytest.raises(SystemExit, match="^error: no images$"), short_errors():
        raise ValueError("no images")


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")]
)
def test_a_signal_ends_a_command_with_one_line_and_a_code_of_its_own(number, how, capsys):
    with pytest.raises(SystemExit) as ended, short_errors(resumable=lambda: "at step 3"):
        signal.raise_signal(number)
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == f"{how}; the same command goes on at step 3\n"


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 10**5, '{"a": ' + "9" * 5000 + "}"])
def test_damaged_settings_are_refused_and_stay(content, tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="Invalid `work_dir`: received `.*recipe.json`.*Fix: "):
        claim_folder(path, {"name": "digits", "seed": 0})
    assert path.read_text() == content
