"""The checks that every part of the library shares, as plain functions.

Used as `from harness import shared_file` (pytest puts tests/ on the import path).
"""

import inspect
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from keras_bld.base.backend import compile_function

PROJECT_ROOT = pathlib.Path(__file__).resolve().parents[1]
# `jit_compile` of tests whose few steps take less time than XLA, TensorFlow's default, to compile.
QUICK_JIT = "auto" if keras.config.backend() == "jax" else False

# Options of `check_keras_layer` for networks: JAX compiles their parts one by one, in float16 once
# more, and then the training step, for many seconds. Tests of `fit` train them on JAX.
QUICK_CHECK = (
    {"run_training_check": False, "run_mixed_precision_check": False}
    if keras.config.backend() == "jax"
    else {}
)


def shared_file(relative):
    """Return the path of a file or folder of the shared material, or skip the test.

    The material (reference numbers, photographs) is not part of the project; it is looked for in
    `$KERAS_BLD_SHARED` and then in `shared/` beside the project's root.
    """
    places = [PROJECT_ROOT.parent / "shared"]
    if os.environ.get("KERAS_BLD_SHARED"):
        places.insert(0, pathlib.Path(os.environ["KERAS_BLD_SHARED"]))
    for place in places:
        if (place / relative).exists():
            return place / relative
    looked_in = ", ".join(str(place) for place in places)
    pytest.skip(f"shared material `{relative}` not found in {looked_in}; set KERAS_BLD_SHARED")


def write_class_folders(folder, splits, class_names):
    """Grey images (num_images, height, width, 1) as `folder/split/class/number.png`.

    Args:
        splits: dict split -> (images, labels).
    """
    for split, (images, labels) in splits.items():
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / split / class_names[label] / f"{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)


def check_keras_round_trip(model_or_layer, inputs, relative_tolerance=1e-6):
    """Save and load a `.keras` file: equal config, equal weights, equal outputs.

    Args:
        model_or_layer: a Keras model, or a layer that maps `inputs` to a tensor or a nest.
        inputs: a NumPy array, or a list of them for a model with several inputs.

    Returns:
        The loaded object, so that a test may look further.
    """
    original = model_or_layer
    if not isinstance(original, keras.Model):
        # A layer goes to disk inside a model, as it does in a user's program.
        symbolic = keras.tree.map_structure(
            lambda array: keras.Input(array.shape[1:], dtype=str(array.dtype)), inputs
        )
        original = keras.Model(symbolic, original(symbolic))
    expected = to_numpy(original(inputs, training=False))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "round_trip.keras")
        original.save(path)
        loaded = keras.saving.load_model(path)
    assert type(loaded) is type(original)
    assert _plain(loaded.get_config()) == _plain(original.get_config())
    _check_equal_weights(original, loaded)
    received = to_numpy(loaded(inputs, training=False))
    keras.tree.assert_same_structure(expected, received)
    for first, second in zip(
        keras.tree.flatten(expected), keras.tree.flatten(received), strict=True
    ):
        np.testing.assert_allclose(first, second, rtol=relative_tolerance, atol=1e-6)
    return loaded


def check_config(cls, instance):
    """The config is JSON, holds every argument of `__init__`, and rebuilds an equal object.

    Keys that Keras itself adds for a layer or an operation (`name`, `dtype`, `trainable`) may be
    there without being arguments.

    Returns:
        The rebuilt object.
    """
    assert type(instance) is cls
    config = instance.get_config()
    added_by_keras = {"name", "dtype", "trainable"}
    arguments = _arguments(cls) - added_by_keras
    assert set(config) - added_by_keras == arguments, (
        f"{cls.__name__}: config keys {sorted(config)} are not the arguments {sorted(arguments)}"
    )
    as_text = json.dumps(keras.saving.serialize_keras_object(instance))
    rebuilt = keras.saving.deserialize_keras_object(json.loads(as_text))
    assert type(rebuilt) is cls
    assert _plain(rebuilt.get_config()) == _plain(config)
    rebuilt = cls.from_config(instance.get_config())
    assert _plain(rebuilt.get_config()) == _plain(config)
    return rebuilt


def check_keras_layer(layer, inputs, **options):
    """Keras's own harness: config, build, symbolic and eager calls, a training step, float16.

    Args:
        layer: an instance, as an example: its class is built anew from its config.
        inputs: a NumPy array, or what else `run_layer_test` takes as `input_data`.
        options: further arguments of `keras.src.testing.TestCase.run_layer_test`.
    """
    from keras.src.testing import TestCase

    config = layer.get_config()
    arguments = {name: config[name] for name in _arguments(type(layer))}
    data = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    with warnings.catch_warnings():
        # Its own call of `fit` is one that Keras warns of; some layers have no weights.
        warnings.filterwarnings("ignore", "`shuffle=True` was passed", UserWarning)
        warnings.filterwarnings("ignore", "The model does not have any trainable", UserWarning)
        TestCase().run_layer_test(type(layer), arguments, input_data=data, **options)


def _arguments(cls):
    """Names of the arguments of `__init__`.

    Those that it hands on to a parent of this library are included: with `**options` it takes all
    of the parent's that have a default.
    """
    parameters = inspect.signature(cls.__init__).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    own = {parameter.name for parameter in parameters if parameter.kind in kinds} - {"self"}
    if not any(parameter.name == "options" for parameter in parameters):
        return own
    handed_on = inspect.signature(cls.__mro__[1].__init__).parameters.values()
    return own | {
        parameter.name
        for parameter in handed_on
        if parameter.kind in kinds and parameter.default is not parameter.empty
    }


def check_dtype_policies(
    build, inputs, policies=("float32", "mixed_bfloat16", "mixed_float16", "bfloat16"), dtype=None
):
    """`build()` under each dtype policy runs on `inputs`, stays finite, and has the stated dtype.

    Args:
        build: callable without arguments that returns a new layer or model (it is called with
            the policy as Keras's global one).
        inputs: a NumPy array, or a list of them.
        dtype: dtype of every output under every policy (e.g. "float32" for an island of
            precision); `None` expects the policy's compute dtype.

    Returns:
        Policy name -> outputs as float32 NumPy arrays, so that a test may compare them.
    """
    outputs = {}
    previous = keras.config.dtype_policy()
    try:
        for policy in policies:
            keras.config.set_dtype_policy(policy)
            built = build()
            result = built(inputs)
            expected = dtype or keras.config.dtype_policy().compute_dtype
            for tensor in keras.tree.flatten(result):
                received = keras.backend.standardize_dtype(tensor.dtype)
                assert received == expected, f"{policy}: output {received}, expected {expected}"
            outputs[policy] = keras.tree.map_structure(
                lambda tensor: to_numpy(keras.ops.cast(tensor, "float32")), result
            )
            for array in keras.tree.flatten(outputs[policy]):
                assert np.isfinite(array).all(), f"{policy}: output is not finite"
    finally:
        keras.config.set_dtype_policy(previous)
    return outputs


def check_eager_equals_compiled(
    function, *arrays, variables=None, relative_tolerance=1e-5, absolute_tolerance=1e-5
):
    """`function` of tensors gives the same eagerly and through `compile_function`.

    Args:
        function: pure `keras.ops` function of tensors.
        arrays: NumPy arrays or Python numbers.
        variables: callable that returns the variables `function` reads; none by default.

    Returns:
        The compiled function's outputs as NumPy arrays.
    """
    compiled = compile_function(function, variables or list)
    eager = to_numpy(function(*[keras.ops.convert_to_tensor(array) for array in arrays]))
    result = to_numpy(compiled(*arrays))
    keras.tree.assert_same_structure(eager, result)
    for first, second in zip(keras.tree.flatten(eager), keras.tree.flatten(result), strict=True):
        assert first.dtype == second.dtype
        np.testing.assert_allclose(first, second, rtol=relative_tolerance, atol=absolute_tolerance)
    return result


def check_keras_layer_of_several(layer, *inputs, **options):
    """`check_keras_layer` for a layer with several inputs, which Keras trains with one alone.

    Its class gets one tuple of them in place of the arguments, all else is its own.

    Args:
        layer: as in `check_keras_layer`.
        inputs: NumPy arrays, the layer's positional arguments.
        options: as in `check_keras_layer`.
    """

    class TakesOneTuple(type(layer)):
        def call(self, inputs):
            return super().call(*inputs)

    check_keras_layer(
        TakesOneTuple.from_config(layer.get_config()),
        inputs,
        custom_objects={"TakesOneTuple": TakesOneTuple},
        **options,
    )


def run_in_new_process(code, backend=None, timeout=300):
    """Run Python code in a fresh interpreter and return what it printed.

    Args:
        code: program text.
        backend: "tensorflow", "jax" or "torch"; by default this process's own.

    Raises:
        RuntimeError: the program failed; the message ends with its standard error.
    """
    environment = {**os.environ, "KERAS_BACKEND": backend or keras.config.backend()}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    finished = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=PROJECT_ROOT,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    if finished.returncode != 0:
        raise RuntimeError(
            f"the program ended with status {finished.returncode}:\n{finished.stderr}"
        )
    return finished.stdout


def share_of(items, share):
    """The tests of every N-th file from file K on; `share` is "K/N" with K in 1 ... N.

    Raises:
        ValueError: another text.
    """
    number, _, count = share.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise ValueError(f"KERAS_BLD_TEST_SHARE is {share!r}; set it to K/N, such as 1/4")
    # Whole files: what a file sets up once is set up in one share.
    files = list(dict.fromkeys(item.path for item in items))
    chosen = set(files[int(number) - 1 :: int(count)])
    return [item for item in items if item.path in chosen]


def to_numpy(nest):
    """Tensors of a nest (or of nothing else) as NumPy arrays."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, nest)


def _check_equal_weights(original, loaded):
    assert len(original.weights) == len(loaded.weights)
    for first, second in zip(original.weights, loaded.weights, strict=True):
        assert first.dtype == second.dtype, f"{first.path}: {first.dtype} became {second.dtype}"
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(first), keras.ops.convert_to_numpy(second), first.path
        )


def _plain(config):
    """A config as JSON text in which lists and tuples are the same (files keep only lists)."""

    def unwrap(value):
        if isinstance(value, dict):
            if value.get("class_name") == "__tuple__":
                return unwrap(value["items"])
            return {key: unwrap(item) for key, item in value.items()}
        return [unwrap(item) for item in value] if isinstance(value, list) else value

    return json.dumps(unwrap(keras.saving.serialize_keras_object(config)), sort_keys=True)


def check_steps_forget(model, data, network):
    """The same training step from the same state moves the same weights by the same, each time.

    Args:
        model: compiled with an optimizer whose state is the number of steps alone.
        data: one batch.
        network: the part whose trainable weights are compared.
    """
    model.train_on_batch(data)  # builds and compiles
    state = [np.array(to_numpy(variable)) for variable in model.variables]
    before = [np.array(to_numpy(variable)) for variable in network.trainable_variables]
    after = []
    for _ in range(3):
        for variable, value in zip(model.variables, state, strict=True):
            variable.assign(value)
        model.train_on_batch(data)
        after.append([np.array(to_numpy(variable)) for variable in network.trainable_variables])
    moves = [np.abs(new - old).max() for new, old in zip(after[0], before, strict=True)]
    assert max(moves) > 1e-4
    for first, *others in zip(*after, strict=True):
        for other in others:
            np.testing.assert_allclose(other, first, rtol=1e-5, atol=1e-6)


class ListedBatches(keras.utils.PyDataset):
    """A list of batches as the dataset that Keras has for them."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]
