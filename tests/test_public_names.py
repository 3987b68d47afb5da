"""keras_bld/__init__.py: every public name is there, and every Keras class is registered."""

import ast
import json

import pytest
from harness import PROJECT_ROOT, run_in_new_process

import keras_bld
from keras_bld.base.lazy_names import homes_of

pytestmark = pytest.mark.once
_PACKAGES = sorted(
    str(path.parent.relative_to(PROJECT_ROOT))
    for path in PROJECT_ROOT.glob("keras_bld/**/__init__.py")
)


def registered_in_source():
    """Names of the classes with `@keras.saving.register_keras_serializable("keras_bld")`."""
    names = set()
    for file in PROJECT_ROOT.glob("keras_bld/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            decorators = [ast.unparse(item) for item in getattr(node, "decorator_list", [])]
            if any("register_keras_serializable" in text for text in decorators):
                names.add(f"keras_bld>{node.name}")
    return names


def test_every_public_name_resolves():
    for name in keras_bld.__all__:
        assert getattr(keras_bld, name) is not None
        assert name in dir(keras_bld)
    assert keras_bld.list_presets is keras_bld.zoo.list_presets
    with pytest.raises(AttributeError, match="no attribute 'preset'"):
        _ = keras_bld.preset


@pytest.mark.parametrize("package", _PACKAGES)
def test_no_lazy_name_is_that_of_a_module(package):
    """Importing the module would put it in the name's place."""
    folder = PROJECT_ROOT / package
    source = (folder / "__init__.py").read_text()
    if "lazy_names(__name__)" in source:
        taken = {path.stem for path in folder.iterdir()}
        clashes = {name for name, home in homes_of(source).items() if name in taken}
        rooms = set(keras_bld.__all__) if package == "keras_bld" else set()
        assert clashes <= rooms


def test_importing_the_library_registers_every_class():
    code = """
import json, keras, keras_bld
print(json.dumps(sorted(keras.saving.get_custom_objects())))
"""
    registered = set(json.loads(run_in_new_process(code).splitlines()[-1]))
    in_source = registered_in_source()
    assert {"keras_bld>BinaryAutoencoder", "keras_bld>BinaryLatentDiffusion"} <= in_source
    assert in_source <= registered


@pytest.mark.parametrize(
    "first",
    [
        "import keras_bld, keras",
        "from keras_bld.data import sources",
        "import keras_bld.baselines.absorbing",
    ],
)
def test_every_class_is_registered_whatever_comes_first(first):
    """And no module is imported twice, which would make classes of the same name."""
    code = f"""
{first}
import sys, keras
names = keras.saving.get_custom_objects()
print(sum(name.startswith("keras_bld>") for name in names))
from keras_bld.autoencoder.encoder import Encoder
import keras_bld
assert Encoder is keras_bld.autoencoder.encoder.Encoder is names["keras_bld>Encoder"]
for name, module in list(sys.modules.items()):
    parent, _, last = name.rpartition(".")
    if parent.split(".")[0] == "keras_bld":
        found = getattr(sys.modules[parent], last)  # of straight_through the function
        assert found is module or callable(found), name
        assert type(module.__spec__.loader).__name__ != "ThereAlready", name
"""
    assert int(run_in_new_process(code, backend="torch").split()[-1]) == len(registered_in_source())


def test_the_names_of_a_package_are_one_list():
    """What type checkers read is what is imported; nothing public is missing there."""
    for package in (keras_bld, keras_bld.diffusion, keras_bld.presets, keras_bld.zoo):
        for name in package.__all__:
            assert getattr(package, name) is not None
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute"):
            _ = package.nothing
