"""Each shared check passes on something right and fails on something wrong."""

import os
import types

import keras
import numpy as np
import pytest
from harness import (
    check_config,
    check_dtype_policies,
    check_eager_equals_compiled,
    check_keras_round_trip,
    run_in_new_process,
    share_of,
    shared_file,
    to_numpy,
)
from keras import ops

X = np.linspace(-1.0, 1.0, 6, dtype="float32").reshape(2, 3)


@keras.saving.register_keras_serializable("keras_bld_test")
class Scale(keras.layers.Layer):
    """x * factor + shift, with one weight."""

    def __init__(self, factor, shifts=(0.5,), **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.shifts = tuple(shifts)

    def build(self, input_shape):
        self.gain = self.add_weight(shape=(input_shape[-1],), initializer="random_normal")

    def call(self, x):
        return x * self.gain * self.factor + sum(self.shifts)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "shifts": self.shifts}


@keras.saving.register_keras_serializable("keras_bld_test")
class ForgetsItsFactor(Scale):
    """Comes back from its config with another factor."""

    def __init__(self, factor=1.0, shifts=(0.5,), **kwargs):
        super().__init__(factor, shifts, **kwargs)

    def get_config(self):
        config = super().get_config()
        config.pop("factor")
        return config


@keras.saving.register_keras_serializable("keras_bld_test")
class ForgetsItsWeights(Scale):
    """Saves nothing."""

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


@keras.saving.register_keras_serializable("keras_bld_test")
class TwoInputs(keras.Model):
    """A subclassed model of two inputs and a nest of outputs."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.dense = keras.layers.Dense(width)
        self.dense.build((None, 3))
        self.built = True

    def call(self, inputs):
        return {"sum": self.dense(inputs[0]) + inputs[1], "raw": inputs[1]}

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def test_shared_file_looks_first_where_the_variable_says(tmp_path, monkeypatch):
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "README.md").write_text("here")
    monkeypatch.setenv("KERAS_BLD_SHARED", str(tmp_path))
    assert shared_file("reference/README.md").read_text() == "here"


def test_shared_file_skips_with_the_places_it_looked_in(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BLD_SHARED", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=f"`no/such` not found in {tmp_path}, "):
        shared_file("no/such")


def test_round_trip_of_a_layer_gives_the_layer_back_in_a_model():
    loaded = check_keras_round_trip(Scale(2.0, name="scale"), X)
    assert loaded.get_layer("scale").factor == 2.0


def test_round_trip_of_a_model_with_two_inputs():
    loaded = check_keras_round_trip(TwoInputs(2), [X, X[:, :2]])
    assert loaded.width == 2


@pytest.mark.parametrize("broken", [ForgetsItsFactor, ForgetsItsWeights])
def test_round_trip_notices(broken):
    with pytest.raises(AssertionError):
        check_keras_round_trip(broken(3.0), X)


def test_config_check_returns_the_rebuilt_object():
    rebuilt = check_config(Scale, Scale(2.0, shifts=[1.0, 2.0]))
    assert (rebuilt.factor, rebuilt.shifts) == (2.0, (1.0, 2.0))


def test_config_check_notices_a_missing_key():
    with pytest.raises(AssertionError, match="ForgetsItsFactor: config keys"):
        check_config(ForgetsItsFactor, ForgetsItsFactor(3.0))


def test_config_check_notices_a_changed_value():
    @keras.saving.register_keras_serializable("keras_bld_test")
    class Doubles(Scale):
        def __init__(self, factor, shifts=(0.5,), **kwargs):
            super().__init__(2 * factor, shifts, **kwargs)

    with pytest.raises(AssertionError):
        check_config(Doubles, Doubles(1.0))


def test_dtype_policies_return_float32_outputs_of_each():
    outputs = check_dtype_policies(lambda: Scale(2.0), X)
    assert list(outputs) == ["float32", "mixed_bfloat16", "mixed_float16", "bfloat16"]
    assert all(array.dtype == np.float32 for array in outputs.values())
    assert keras.config.dtype_policy().name == "float32"


def test_dtype_policies_accept_a_float32_island_and_notice_its_absence():
    def island():
        return keras.layers.Activation("sigmoid", dtype="float32")

    check_dtype_policies(island, X, dtype="float32")
    with pytest.raises(AssertionError, match="mixed_bfloat16: output float32, expected bfloat16"):
        check_dtype_policies(island, X)


def test_dtype_policies_notice_what_is_not_finite():
    with pytest.raises(AssertionError, match="mixed_float16: output is not finite"):
        check_dtype_policies(lambda: Scale(1e6), X + 2.0, policies=("mixed_float16",))
    assert keras.config.dtype_policy().name == "float32"


def test_eager_equals_compiled_returns_the_nest():
    received = check_eager_equals_compiled(lambda x, n: {"a": ops.exp(x) * n}, X, 2.0)
    np.testing.assert_allclose(received["a"], 2.0 * np.exp(X), rtol=1e-5)


def test_eager_equals_compiled_with_variables():
    layer = Scale(2.0)
    layer.build((None, 3))
    received = check_eager_equals_compiled(layer, X, variables=lambda: layer.variables)
    np.testing.assert_allclose(received, X * to_numpy(layer.gain) * 2.0 + 0.5, rtol=1e-5)


def test_eager_equals_compiled_notices_state():
    calls = []

    def counts(x):
        calls.append(x)
        return x + float(len(calls))

    with pytest.raises(AssertionError):
        check_eager_equals_compiled(counts, X)


@pytest.mark.once
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_new_process_has_the_backend_asked_for(backend):
    code = "import os, sys; print(os.environ['KERAS_BACKEND'], sys.argv)"
    assert run_in_new_process(code, backend) == f"{backend} ['-c']\n"


def test_new_process_has_this_backend_and_this_interpreter():
    printed = run_in_new_process("import os, sys; print(os.environ['KERAS_BACKEND'], os.getpid())")
    name, process = printed.split()
    assert name == keras.config.backend()
    assert int(process) != os.getpid()


def test_new_process_reports_its_failure():
    with pytest.raises(RuntimeError, match="status 1:(.|\n)*ZeroDivisionError"):
        run_in_new_process("1 / 0")


def test_shares_hold_everything_once():
    items = [types.SimpleNamespace(path=file) for file in "aaabbcddde"]
    shares = [share_of(items, f"{number}/3") for number in (1, 2, 3)]
    assert ["".join(item.path for item in share) for share in shares] == ["aaaddd", "bbe", "c"]
    for wrong in ("0/3", "4/3", "3", "a/b"):
        with pytest.raises(ValueError, match="KERAS_BLD_TEST_SHARE"):
            share_of(items, wrong)
