"""The manual: generated parts are as new, each code block runs, options and links exist."""

import functools
import importlib
import importlib.util
import pathlib
import re
import shutil
import sys
import tomllib

import documents
import keras
import numpy as np
import pytest
from harness import PROJECT_ROOT
from recipes.recipe_files import recipe_class

import keras_bld
from keras_bld import __main__ as commands
from keras_bld.ablations import ablations_command, study
from keras_bld.training import main as recipe_main
from keras_bld.training import runner as training
from keras_bld.zoo.shipped import SHIPPED

# Blocks of Python are run once, too, on torch, which traces nothing; these pages write graphs.
WITH_GRAPHS = ("docs/photographs.md", "docs/serving.md")
# Its blocks ask a service: tests/serving/service/test_page.py runs them.
WITH_A_SERVICE = "docs/service.md"
# These load networks of others, or compile with OpenVINO.
SLOW = (
    *WITH_GRAPHS,
    "docs/data.md",
    "docs/experiments.md",
    "docs/inference.md",
    "docs/text.md",
)
PYTHON = documents.code_blocks("python")
SHELL = documents.code_blocks("sh")
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text()
EXTRAS = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]


@pytest.mark.on_tensorflow
def test_every_block_is_of_a_kind_that_is_tested():
    assert documents.unknown_languages() == []
    assert sum(map(len, PYTHON.values())) > 15
    assert sum(map(len, SHELL.values())) > 30


def broken_lists(text):
    """Lines that GitHub shows as items of a list, or as a table in one, and the site does not."""
    found, before = [], ""
    for line in documents.without_blocks(text).splitlines():
        is_item = line.startswith(("- ", "* "))
        goes_on = before.startswith(("- ", "* ", "  ")) or not before.strip()
        if (is_item and not goes_on) or line.startswith("  |"):
            found.append(line)
        before = line
    return found


@pytest.mark.once
def test_lists_are_lists_on_the_site():
    assert broken_lists("Text.\n- one\n  more\n- two") == ["- one"]
    assert broken_lists("- one:\n\n  | a |\n") == ["  | a |"]
    assert broken_lists("Text.\n\n- one\n- two\n\n```\nx\n- y\n```\n") == []
    for page in documents.PAGES:
        assert broken_lists((PROJECT_ROOT / page).read_text()) == [], page


# Generated parts --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages():
    """docs/pages.py as a module."""
    spec = importlib.util.spec_from_file_location("pages", PROJECT_ROOT / "docs/pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.on_tensorflow
def test_generated_parts_are_as_new(pages):
    assert {page.name for page in pages.pages()} >= {"results.md", "presets.md", "commands.md"}
    for page in pages.pages():
        assert page.read_text() == pages.renewed(page.read_text()), f"{page}: run `make pages`"


@pytest.mark.on_tensorflow
def test_a_generated_part_follows_its_source(pages):
    old = "a\n<!-- generated: sizes -->\nolder\n<!-- end -->\nb"
    new = pages.renewed(old)
    assert "older" not in new and "| `bld_digits_16` |" in new and new.endswith("<!-- end -->\nb")


@pytest.mark.on_tensorflow
def test_help_becomes_rows(pages):
    usage, description, rows = pages._help("generate")
    assert usage.startswith("keras-bld generate") and "new images" in description
    options = {option: default for option, _, default in rows}
    assert options["`--num-images INT`"] == "`64`" and "`--temperature FLOAT`" in options


# Python -----------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working directory of a page: what its blocks open is there."""
    monkeypatch.chdir(tmp_path)
    documents.shrink_models(monkeypatch)
    documents.write_photographs(tmp_path / "photos")
    for directory in ("my_preset", "presets/my_photos"):
        shutil.copytree(SHIPPED / "bld_digits_16", tmp_path / directory)
    return tmp_path


def pages_with_python():
    """Each page with what decides where it runs."""
    for page in PYTHON:
        if page == WITH_A_SERVICE:
            continue
        backend = "tensorflow" if page in WITH_GRAPHS else "torch"
        marks = [pytest.mark.on_tensorflow] * (page in WITH_GRAPHS) + [pytest.mark.slow] * (
            page in SLOW
        )
        if keras.config.backend() == backend:
            yield pytest.param(page, marks=marks)


@pytest.mark.parametrize("page", list(pages_with_python()))
def test_python_blocks_run(page, place):
    """The blocks of a page, one after the other; beside them stand the names of all pages."""
    scope = {"keras_bld": keras_bld, "np": np, "model": keras_bld.load_preset("bld_digits_16")}
    for block in PYTHON[page]:
        # Line numbers in a traceback are those of the page.
        code = "\n" * (block.line - 1) + block.code
        exec(compile(code, str(PROJECT_ROOT / page), "exec"), scope)


# Shell ------------------------------------------------------------------------------------


@pytest.fixture
def called(monkeypatch):
    """Nothing runs: commands are parsed, and the list says what would have been called."""
    names = []
    for target in commands.COMMANDS.values():
        module, _, name = target.partition(":")
        module = importlib.import_module(module)
        monkeypatch.setattr(module, name, _parsed_only(getattr(module, name), names))
    runner = type("Runner", (), {"__init__": lambda self, recipe: names.append(recipe.name)})
    runner.run = lambda self: None
    monkeypatch.setattr(training, "Runner", runner)
    monkeypatch.setattr(study, "run_study", lambda table, study: names.append(table))
    return names


def _parsed_only(function, names):
    @functools.wraps(function)
    def stub(*args, **options):
        names.append(function.__name__)

    return stub


def run_words(words, names):
    """Parse one command line; an unknown command or option ends the program."""
    program, *rest = words
    if words[:3] == ["python", "-m", "keras_bld"]:
        program, rest = "keras-bld", words[3:]
    if program == "keras-bld":
        commands.main(rest)
    elif program == "python" and rest[0] == "recipes/ablations.py":
        ablations_command(rest[1:])
    elif program == "python" and rest[0].startswith("recipes/"):
        name = pathlib.Path(rest[0]).stem
        recipe_main(recipe_class("digits" if name == "NAME" else name), rest[1:])
    elif program == "make":
        (target,) = [word for word in rest if word.isidentifier() or re.fullmatch(r"[a-z-]+", word)]
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
        names.append(target)
    elif words[:2] == ["pip", "install"]:
        chosen = re.findall(r"[\w-]+", "".join(re.findall(r"\[(.*?)\]", rest[-1])))
        assert set(chosen) <= set(EXTRAS)
        names.append("pip")
    elif program == "curl" and rest[-1].startswith("http://127.0.0.1:8000/"):
        names.append("curl")  # test_page.py of the service runs it
    elif program == "bash":
        assert (PROJECT_ROOT / rest[0]).is_file()
        names.append(rest[0])
    else:
        raise AssertionError(f"{program} is not known here: mark the block `<!-- not run: ... -->`")


@pytest.mark.on_tensorflow
@pytest.mark.parametrize("page", SHELL)
def test_command_lines_are_understood(page, called, capsys):
    for block in SHELL[page]:
        for words in documents.command_lines(block.code):
            before = len(called)
            try:
                run_words(words, called)
            except SystemExit as ended:
                asked = "--help" in words and ended.code in (0, None)
                assert asked, f"{page}:{block.line}: {words}\n{capsys.readouterr()}"
            else:
                assert len(called) == before + 1, f"{page}:{block.line}: {words}"


@pytest.mark.on_tensorflow
def test_an_option_that_does_not_exist_is_noticed(called):
    with pytest.raises(SystemExit):
        run_words("python -m keras_bld generate bld_digits_16 --number 3".split(), called)
    with pytest.raises(SystemExit):
        run_words("python recipes/digits.py --steps 3".split(), called)
    with pytest.raises(AssertionError, match="curl is not known"):
        run_words(["curl", "address"], called)


# Links ------------------------------------------------------------------------------------


@pytest.mark.on_tensorflow
@pytest.mark.parametrize("page", documents.PAGES)
def test_files_that_a_page_names_exist(page):
    """Links of pages outside the site, and paths in words; mkdocs checks the other links."""
    text = (PROJECT_ROOT / page).read_text()
    if not page.startswith("docs/"):
        for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
            assert (PROJECT_ROOT / link).exists(), link
    for path in re.findall(r"`((?:docs|tests|recipes|keras_bld)/[\w./]+\.(?:py|md))`", text):
        assert (PROJECT_ROOT / path).exists() or "NAME" in path, path


@pytest.mark.on_tensorflow
def test_pages_that_the_code_names_exist():
    for file in [*PROJECT_ROOT.glob("keras_bld/**/*.py"), *PROJECT_ROOT.glob("recipes/*.py")]:
        for page in re.findall(r"docs/\w+\.md", file.read_text()):
            assert (PROJECT_ROOT / page).is_file(), f"{file}: {page}"


@pytest.mark.on_tensorflow
def test_every_room_has_a_page_of_its_api():
    pages = {path.stem for path in (PROJECT_ROOT / "docs/api").glob("*.md")}
    rooms = {
        name
        for name in keras_bld.__all__
        if hasattr(sys.modules.get(f"keras_bld.{name}"), "__path__")
    }
    assert rooms <= pages
