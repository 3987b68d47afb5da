"""Safe configs: classes of Keras, of this library and of trusted modules, and no code."""

import importlib
import sys

import keras

from keras_bld.base import checks

_PACKAGE = "keras_bld>"
# Values that Keras writes as {"class_name": ..., ...}; they hold data alone.
_PLAIN_VALUES = ("__tuple__", "__numpy__", "__tensor__", "__keras_tensor__")
_ACCEPTED_KINDS = (
    keras.Layer,
    keras.Initializer,
    keras.dtype_policies.DTypePolicy,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)
# Layers that run code, read other files, or take memory that no weights show; no model of images
# and codes has them.
_REFUSED_LAYERS = tuple(
    getattr(keras.layers, name)
    for name in (
        "Lambda",
        "TFSMLayer",
        "TorchModuleWrapper",
        "JaxLayer",
        "FlaxLayer",
        "StringLookup",
        "IntegerLookup",
        "TextVectorization",
        "Hashing",
        "HashedCrossing",
        "CategoryEncoding",
        "Discretization",
        "MelSpectrogram",
        "STFTSpectrogram",
    )
    if hasattr(keras.layers, name)
)


def check_safe(config, argument="config.json", trusted_modules=()):
    """Raise ValueError unless every class in a serialised object is one that runs no foreign code.

    Accepted are classes that are registered under "keras_bld", and Keras's own layers,
    initializers, regularizers, constraints and dtype policies. Refused are `Lambda` layers, layers
    that read other files, Python functions, classes of other packages and anything that cannot be
    found.

    Args:
        config: what `keras.saving.serialize_keras_object` returns, as read from JSON.
        argument: name for the error message.
        trusted_modules: names of modules and packages whose layers are accepted, too; whoever
            calls has imported them (`import_trusted`).
    """
    if isinstance(config, list | tuple):
        for item in config:
            check_safe(item, argument, trusted_modules)
    elif isinstance(config, dict):
        if "class_name" in config:
            _check_class(config, argument, trusted_modules)
        for value in config.values():
            check_safe(value, argument, trusted_modules)


def import_trusted(modules):
    """Import the modules that a caller trusts; returns their names as a tuple.

    Raises:
        TypeError: not a list of names.
        ImportError: a module that cannot be imported.
    """
    if isinstance(modules, str) or not all(isinstance(name, str) for name in modules):
        raise checks.error(
            "trusted_modules",
            repr(modules),
            "a list of names of modules",
            'pass e.g. trusted_modules=["my_package.my_layers"]',
            kind=TypeError,
        )
    for name in modules:
        importlib.import_module(name)
    return tuple(modules)


def class_of(config, trusted_modules=()):
    """The class that a serialised object names, or None where it is no accepted one."""
    return _own_class(config) or _trusted_class(config, trusted_modules)


def _own_class(config):
    name, module = config.get("class_name"), config.get("module")
    registered_name = config.get("registered_name")
    if not isinstance(name, str):
        return None
    if isinstance(registered_name, str) and registered_name.startswith(_PACKAGE):
        found = keras.saving.get_registered_object(registered_name)
        return found if isinstance(found, type) else None
    # A name that a program registered for itself would win over Keras's class.
    if registered_name not in (None, name) or keras.saving.get_registered_object(name):
        return None
    return _keras_class(module, name)


def _trusted_class(config, modules):
    """The class of a trusted module that a serialised object names, or None."""
    name, module = config.get("registered_name"), config.get("module")
    found = keras.saving.get_registered_object(name) if isinstance(name, str) else None
    if found is None and isinstance(module, str) and _is_in(module, modules):
        found = getattr(sys.modules.get(module), str(config.get("class_name")), None)
    is_trusted = isinstance(found, type) and _is_in(found.__module__, modules)
    return found if is_trusted else None


def _is_in(module, modules):
    """Whether a module is one of these, or inside of one."""
    return any(module == name or module.startswith(f"{name}.") for name in modules)


def _check_class(config, argument, trusted_modules):
    name = config["class_name"]
    if name in _PLAIN_VALUES:
        return
    found = class_of(config, trusted_modules)
    accepted = isinstance(found, type) and issubclass(found, _ACCEPTED_KINDS)
    if not accepted or issubclass(found, _REFUSED_LAYERS):
        where = f" of {config['module']}" if config.get("module") else ""
        raise checks.error(
            argument,
            f"an object of class {name!r}{where}",
            "only layers and models of Keras and of keras_bld, and no Python functions",
            "use a preset from a source that you trust; for classes of your own, or of a program"
            ' that you trust, name their modules: trusted_modules=["my_package.my_layers"]; to save'
            " a model without what only training needs, use save_preset(..., training_parts=False)",
        )


def _keras_class(module, name):
    if not isinstance(module, str) or not (module == "keras" or module.startswith("keras.")):
        return None
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
