import json
import sys

import keras
import numpy as np
import pytest
from harness import run_in_new_process
from small_models import small_autoencoder

from keras_bld import load_preset
from keras_bld.presets import save_preset

pytestmark = pytest.mark.once

MODULE = """
import keras
from keras import ops
from keras_bld import BinaryAutoencoder
from keras_bld.autoencoder import Bottleneck


@keras.saving.register_keras_serializable("my_program")
class Signs(Bottleneck):
    def __init__(self, num_bits, **kwargs):
        super().__init__(**kwargs)
        self.num_bits = num_bits
        self.num_inputs = self.latent_channels = self.code_channels = num_bits

    def to_latents(self, inputs, training):
        return self.to_codes(inputs), ops.zeros(())

    def to_codes(self, inputs, noise=None):
        return ops.cast(inputs > 0, "float32")

    def from_codes(self, codes):
        return codes

    def get_config(self):
        return {**super().get_config(), "num_bits": self.num_bits}


@keras.saving.register_keras_serializable("my_program")
class OwnAutoencoder(BinaryAutoencoder):
    pass
"""


@pytest.fixture
def my_program(tmp_path, monkeypatch):
    """A module of the user's own, `my_program.parts`, on the path of Python."""
    package = tmp_path / "path" / "my_program"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(package.parent)
    import my_program.parts as parts

    yield parts
    for name in ("my_program", "my_program.parts"):
        sys.modules.pop(name, None)
    for name in list(keras.saving.get_custom_objects()):
        if name.startswith("my_program>"):
            del keras.saving.get_custom_objects()[name]


@pytest.fixture(params=["bottleneck", "subclass"])
def model(request, my_program):
    if request.param == "bottleneck":
        return small_autoencoder(bottleneck=my_program.Signs(4))
    sizes = {"base_width": 8, "width_multipliers": (1, 2), "num_blocks": 1}
    return my_program.OwnAutoencoder((8, 8, 3), 4, num_groups=4, embedding_width=8, **sizes)


@pytest.mark.parametrize("named", ["my_program.parts", "my_program"])
def test_a_preset_with_classes_of_a_named_module(model, tmp_path, named):
    path = save_preset(model, tmp_path / "preset", trusted_modules=[named])
    loaded = load_preset(path, dtype="mixed_bfloat16", trusted_modules=[named])
    assert type(loaded) is type(model) and loaded.compute_dtype == "bfloat16"
    loaded = type(model).from_preset(path, trusted_modules=[named])
    images = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    np.testing.assert_array_equal(loaded.encode(images), model.encode(images))


def test_nothing_is_trusted_that_was_not_named(model, tmp_path):
    with pytest.raises(ValueError, match="trusted_modules"):
        model.save_to_preset(tmp_path / "preset")
    model.save_to_preset(tmp_path / "preset", trusted_modules=["my_program.parts"])
    for named in ([], ["json"]):
        with pytest.raises(ValueError, match="trusted_modules"):
            load_preset(tmp_path / "preset", trusted_modules=named)
    with pytest.raises(ImportError):
        load_preset(tmp_path / "preset", trusted_modules=["my_program.part"])
    with pytest.raises(TypeError, match="a list of names"):
        load_preset(tmp_path / "preset", trusted_modules="my_program")


@pytest.mark.parametrize("model", ["bottleneck"], indirect=True)
def test_a_preset_has_no_module_imported(model, tmp_path):
    """Only the names that the caller gives are imported, never those in the file."""
    model.save_to_preset(tmp_path / "preset", trusted_modules=["my_program"])
    code = f"""
import sys, keras_bld
sys.path.insert(0, {str(tmp_path / "path")!r})
try:
    keras_bld.load_preset({str(tmp_path / "preset")!r})
except ValueError as error:
    print("refused", "my_program" in sys.modules)
"""
    assert run_in_new_process(code).splitlines()[-1] == "refused False"


def test_a_trusted_module_opens_no_door_to_code(model, tmp_path):
    """A Lambda layer, a function or an object of Python stays refused."""
    from keras_bld.presets.safe_config import check_safe

    for config in (
        {"class_name": "Lambda", "module": "keras.layers", "config": {}},
        {"class_name": "system", "module": "os", "config": {}},
        {"class_name": "function", "module": "builtins", "config": "load_preset"},
        {"class_name": "save_preset", "module": "keras_bld.presets.store", "config": {}},
    ):
        config = json.loads(json.dumps(config))
        with pytest.raises(ValueError, match="no Python functions"):
            check_safe(config, trusted_modules=["my_program.parts", "keras_bld.presets.store"])
