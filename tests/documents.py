"""The code blocks of the manual and of the README, and a place in which they run in small."""

import functools
import re
import shlex
from dataclasses import dataclass

import numpy as np
from harness import PROJECT_ROOT
from PIL import Image

PAGES = ["README.md", "CONTRIBUTING.md"] + [
    f"docs/{path.name}" for path in sorted((PROJECT_ROOT / "docs").glob("*.md"))
]
_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>.+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
# Languages that are neither run nor parsed.
_SHOWN = ("text", "bibtex")
_MOST_SAMPLES, _NUM_STEPS = 8, 2


def without_blocks(text):
    """The text of a page without its fenced blocks."""
    return _BLOCK.sub("", text)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        page: path of the page from the project's root.
        line: number of the line where the code begins.
        language: the word behind the fence.
        reason: why it is not run; None where it is.
    """

    page: str
    line: int
    language: str
    code: str
    reason: str | None


def blocks(page):
    """The blocks of a page."""
    text = (PROJECT_ROOT / page).read_text()
    for found in _BLOCK.finditer(text):
        code = re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE)
        line = text[: found.start("code")].count("\n") + 1
        yield Block(page, line, found["language"], code, found["reason"])


def code_blocks(*languages):
    """{page: blocks that run} of all pages that have some in one of the languages."""
    found = {
        page: [block for block in blocks(page) if block.language in languages and not block.reason]
        for page in PAGES
    }
    return {page: of_page for page, of_page in found.items() if of_page}


def unknown_languages():
    """Blocks that no test reads."""
    known = ("python", "sh", *_SHOWN)
    return [block for page in PAGES for block in blocks(page) if block.language not in known]


def command_lines(code):
    """The commands of a shell block as lists of words, without variables that stand before them."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            yield words


def shrink_models(monkeypatch):
    """Let models of the library train for one step, and sample with few steps, or few images."""
    import keras_bld
    from keras_bld.autoencoder.code_autoencoder import CodeAutoencoder
    from keras_bld.diffusion.code_prior import CodePrior

    for model in (CodeAutoencoder, CodePrior):
        monkeypatch.setattr(model, "fit", _small_fit(model.fit))
    to_store = CodePrior.generate_to_store
    monkeypatch.setattr(
        CodePrior,
        "generate_to_store",
        lambda self, directory, num_images, labels, num_steps: to_store(
            self, directory, min(num_images, _MOST_SAMPLES), labels, num_steps=_NUM_STEPS
        ),
    )
    # A preset is loaded, and its sampler compiled, once for all pages.
    monkeypatch.setattr(keras_bld, "load_preset", functools.partial(_loaded, keras_bld.load_preset))


def _small_fit(fit):
    def small_fit(self, x=None, y=None, **options):
        if hasattr(x, "shape"):
            x, y = x[:_MOST_SAMPLES], None if y is None else y[:_MOST_SAMPLES]
            options["batch_size"] = _MOST_SAMPLES
        else:
            options["steps_per_epoch"] = 1
        return fit(self, x, y, **{**options, "epochs": 1, "verbose": 0})

    return small_fit


_PRESETS = {}


def _loaded(load_preset, name, **options):
    from keras_bld.zoo.shipped import SHIPPED

    if options or not (SHIPPED / name).is_dir():
        return load_preset(name, **options)
    if name not in _PRESETS:
        _PRESETS[name] = load_preset(name)
    model = _PRESETS[name]
    model.sampling = model.sampling_class(num_steps=_NUM_STEPS)
    return model


def write_photographs(folder):
    """A folder of images in two classes, with a table of captions."""
    generator = np.random.default_rng(0)
    rows = ["file,caption"]
    for split, count in (("train", 6), ("val", 2)):
        for name in ("apple", "milk"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                path = folder / split / name / f"{number}.png"
                pixels = generator.integers(0, 256, (16, 16, 3), "uint8")
                Image.fromarray(pixels).save(path)
                rows.append(f"{path.relative_to(folder)},a picture of {name}")
    (folder / "manifest.csv").write_text("\n".join(rows))
