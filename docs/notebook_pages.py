"""The notebooks: their first cell, and a page of the site for each (this is a hook of MkDocs).

The page is made while the site is built: text, code, and the outputs that the notebook holds. The
first cell installs the library where it is missing; `make pages` writes it, with the address of the
repository from `[project.urls]` in pyproject.toml, once there is one.
"""

import base64
import json
import pathlib
import re
import tomllib

PROJECT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "docs" / "notebooks"
_COLORS = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal

_FIRST_CELL = """\
# Installs the library where it is missing, as in Colab: from the clone in which this notebook lies,
# or else from {named}. KERAS_BLD_SOURCE is another address, such as
# git+https://HOST/OWNER/keras_bld, or the file:// of a wheel.
import importlib.util
import os
import pathlib

if importlib.util.find_spec("keras_bld") is None:
    clone = pathlib.Path("../..").resolve()
    is_clone = (clone / "keras_bld" / "__init__.py").is_file()
    source = os.environ.get("KERAS_BLD_SOURCE") or (clone.as_uri() if is_clone else "{default}")
    requirement = "keras_bld[recipes,serve]" + (f" @ {{source}}" if source else "")
    %pip install -q "{{requirement}}"
"""


def first_cell():
    """Source of the first cell of code, by the address in pyproject.toml."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    address = project.get("urls", {}).get("Repository")
    named = "the repository" if address else "the package index"
    return _FIRST_CELL.format(named=named, default=f"git+{address}" if address else "").rstrip("\n")


def notebooks():
    """Path -> text of the notebooks, with the first cell as it should be."""
    texts = {}
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = json.loads(path.read_text())
        first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        first["source"] = first_cell().splitlines(keepends=True)
        texts[path] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    return texts


def page_of(name, notebook):
    """A notebook as a page.

    Args:
        name: of the notebook, without its ending.
        notebook: its JSON as a dictionary.

    Returns:
        The text of the page in Markdown, and a dictionary: name of a picture -> its bytes.
    """
    parts, pictures = [], {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{name}_{len(pictures)}.png"
                pictures[picture] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![Output of the cell above]({picture})")
                continue
            text = "".join(output.get("text", data.get("text/plain", "")))
            if text.strip():
                parts.append(f"```text\n{_COLORS.sub('', text).rstrip()}\n```")
    title, *rest = parts
    download = f"A notebook, with the outputs of a run: [{name}.ipynb]({name}.ipynb)."
    return "\n\n".join(
        [title.partition("\n")[0], download, title.partition("\n")[2], *rest]
    ), pictures


def on_files(files, config):
    """MkDocs calls this with the files of the site: the pages and pictures join them."""
    from mkdocs.structure.files import File

    for path in sorted(FOLDER.glob("*.ipynb")):
        text, pictures = page_of(path.stem, json.loads(path.read_text()))
        made = {f"{path.stem}.md": text, **pictures}
        for name, content in made.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files
