"""keras_bld/__init__.py: every public name is there, and every Keras class is registered."""

import ast
import json

import pytest
from harness import PROJECT_ROOT, run_in_new_process

import keras_bld

pytestmark = pytest.mark.once


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


def test_importing_the_library_registers_every_class():
    code = """
import json, keras, keras_bld
print(json.dumps(sorted(keras.saving.get_custom_objects())))
"""
    registered = set(json.loads(run_in_new_process(code).splitlines()[-1]))
    in_source = registered_in_source()
    assert {"keras_bld>BinaryAutoencoder", "keras_bld>BinaryLatentDiffusion"} <= in_source
    assert in_source <= registered
