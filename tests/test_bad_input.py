"""Each row of docs/errors.md is a call: it must raise the message that stands beside it."""

import re

import pytest
from harness import PROJECT_ROOT

from keras_bld.presets import locate

PAGE = (PROJECT_ROOT / "docs" / "errors.md").read_text()
# Every kind of bad input that the manual must show, in its order.
KINDS = [
    "wrong image rank",
    "wrong image size",
    "size not divisible by f",
    "values outside [0, 1]",
    "NaN",
    "integers that are not uint8",
    "empty batch",
    "codes that are not binary",
    "codes of the wrong shape",
    "labels out of range",
    "labels missing",
    "surplus labels",
    "another number of labels",
    "labels that are no integers",
    "num_steps 0",
    "num_steps above T",
    "temperature not above 0",
    "negative guidance",
    "guidance without a condition",
    "unknown option",
    "seed out of range",
    "noise of the wrong shape",
    "mask of the wrong shape",
    "mask of grey values",
    "unknown preset",
    "schedule not monotone",
    "schedule that ends with signal",
    "schedule of another length",
    "parts that do not fit",
    "images asked of a model of codes",
]


def table_rows():
    """(kind, call, message) of every row below the table's rule."""
    lines = PAGE.split("|---|---|---|\n")[1].strip().splitlines()
    rows = [re.fullmatch(r"\| (.+?) \| `(.+?)` \| (.+) \|", line) for line in lines]
    assert all(rows), f"not a row: {lines[rows.index(None)]}"
    return [row.groups() for row in rows]


@pytest.fixture(scope="module")
def names():
    """What the page's code block defines."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    scope = {}
    exec(code, scope)
    for model in ("model", "unconditional", "autoencoder"):
        scope[model].compile("adam")
    return scope


@pytest.fixture(autouse=True)
def no_presets(tmp_path, monkeypatch):
    monkeypatch.delenv(locate.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(locate, "FOLDERS", [tmp_path])


@pytest.mark.parametrize("kind, call, message", table_rows())
def test_the_call_raises_its_message(names, kind, call, message):
    with pytest.raises(ValueError) as caught:
        eval(call, names)
    documented = ".*".join(re.escape(part) for part in message.split("..."))
    assert re.fullmatch(documented, str(caught.value)), str(caught.value)
    assert re.match(r"Invalid `\w+`: received .+; expected .+\. Fix: .+\.$", str(caught.value))


@pytest.mark.once
def test_the_table_has_the_stated_kinds():
    assert list(dict.fromkeys(kind for kind, _, _ in table_rows())) == KINDS


@pytest.mark.once
@pytest.mark.parametrize("name", ["images", "codes", "labels"])
def test_the_good_input_beside_the_bad_is_accepted(names, name):
    """The calls fail for the reason stated, not for another."""
    model, images, codes, labels = (names[n] for n in ("model", "images", "codes", "labels"))
    if name == "images":
        assert names["autoencoder"].encode(images).shape == codes.shape
    elif name == "codes":
        assert model.likelihood(codes, labels)["bits_per_image"].shape == (4,)
    else:
        made = model.generate(4, labels=labels, num_steps=1, seed=0)
        assert made.shape == images.shape
