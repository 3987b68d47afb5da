import json

import keras
import pytest

from keras_bld.autoencoder import PerceptualDistance
from keras_bld.presets.safe_config import check_safe, class_of


def config_of(item):
    return json.loads(json.dumps(keras.saving.serialize_keras_object(item)))


def functional(layer):
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layer(inputs))


def test_models_of_the_library_and_of_keras_pass(make_autoencoder, make_diffusion):
    features = functional(keras.layers.Conv2D(4, 3, kernel_regularizer="l2", activation="relu"))
    autoencoder = make_autoencoder(critic=True, perceptual=PerceptualDistance(features))
    config = config_of(make_diffusion(autoencoder))
    check_safe(config)
    assert class_of(config).__name__ == "BinaryLatentDiffusion"
    assert class_of(config_of(features)) is type(features)
    assert class_of(config_of(keras.layers.Dense(3))) is keras.layers.Dense


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "system", "module": "os", "config": {}, "registered_name": None},
        {"class_name": "Popen", "module": "subprocess", "config": {}, "registered_name": "Popen"},
        {"class_name": "function", "module": "builtins", "config": "eval"},
        {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}},
        {"class_name": "Lambda", "module": "keras.layers", "config": {}, "registered_name": None},
        {"class_name": "get_file", "module": "keras.utils", "config": {}, "registered_name": None},
        {"class_name": "load_model", "module": "keras.saving", "config": {}},
        {"class_name": "Model", "module": "kerasx", "config": {}, "registered_name": None},
        {
            "class_name": "None",
            "module": "keras",
            "config": {},
            "registered_name": "keras_bld>None",
        },
        {"class_name": ["Dense"], "module": "keras.layers", "config": {}},
        {"class_name": "TFSMLayer", "module": "keras.layers", "registered_name": None},
        {"class_name": "StringLookup", "module": "keras.layers", "registered_name": None},
        {"class_name": "MelSpectrogram", "module": "keras.layers", "registered_name": None},
        {"class_name": "Adam", "module": "keras.optimizers", "config": {}, "registered_name": None},
    ],
)
def test_everything_else_is_refused_at_any_depth(config):
    with pytest.raises(ValueError, match="an object of class .* Fix: "):
        check_safe({"class_name": "__tuple__", "items": [1, {"deep": [config]}]})


def test_a_registered_name_cannot_stand_in_for_a_class_of_keras():
    @keras.saving.register_keras_serializable("test_safe_config", name="Dense")
    class NotDense(keras.layers.Layer):
        pass

    config = config_of(keras.layers.Dense(3))
    config["registered_name"] = "test_safe_config>Dense"
    with pytest.raises(ValueError, match="class 'Dense'"):
        check_safe(config)
    with pytest.raises(ValueError, match="class 'NotDense'"):
        check_safe(config_of(NotDense()))


def test_a_lambda_layer_inside_a_functional_model_is_refused():
    with pytest.raises(ValueError, match="class 'Lambda'"):
        check_safe(config_of(functional(keras.layers.Lambda(keras.ops.abs))))
