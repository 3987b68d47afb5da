"""The compiled sampler holds the whole loop: nothing in it waits for, or talks to, the host."""

import re

import keras
import numpy as np
import pytest
from harness import to_numpy
from keras import ops
from small_models import tiny_denoiser, tiny_model

from keras_bld.base.backend import compile_function
from keras_bld.diffusion import Sampling

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="reads XLA's programs")
BATCH = 3
SAMPLING = Sampling(num_steps=4, final="sample")
# How XLA writes what leaves the device, or comes from the host, in the middle of a program.
HOST = re.compile(r"callback|outfeed|infeed|\bsend\b|\brecv\b|host_compute|MoveToHost|MoveToDevice")


def arguments(scale=2.0):
    values = {
        "seed": np.int32(1),
        "first_index": np.int32(0),
        "temperature": np.float32(0.9),
        "guidance_scale": np.float32(scale),
        "condition": np.arange(BATCH, dtype="int32"),
    }
    return {name: ops.convert_to_tensor(value) for name, value in values.items()}


def program(compiled, variables, arguments=(), named=None):
    """(StableHLO as traced, HLO as XLA compiled it) of a `CompiledFunction`."""
    lowered = compiled._run.lower(
        [variable.value for variable in variables], list(arguments), named or {}
    )
    return lowered.as_text(), lowered.compile().as_text()


@pytest.mark.parametrize("inpaints", [False, True])
def test_one_loop_and_no_word_to_the_host(inpaints):
    model = tiny_model(tiny_denoiser(num_classes=4))
    inputs = arguments()
    if inpaints:
        shape = (BATCH, *model.code_shape)
        inputs |= {name: ops.zeros(shape) for name in ("known_codes", "known_mask")}
    sampler = model.compiled_sampler(SAMPLING, BATCH)
    traced, compiled = program(sampler, model.denoiser.variables, named=inputs)
    assert traced.count("stablehlo.while") == 1
    assert not HOST.findall(traced) and not HOST.findall(compiled)
    # With guidance, a step is one call on a doubled batch: both batch sizes meet the first matrix.
    channels = model.code_shape[-1]
    for batch in (BATCH, 2 * BATCH):
        assert f"tensor<{batch}x4x{channels}xf32>" in traced


def test_such_a_word_would_be_found():
    import jax

    def halved(x):
        return jax.pure_callback(lambda value: value / 2, jax.ShapeDtypeStruct((), "float32"), x)

    compiled = compile_function(halved, list)
    assert float(to_numpy(compiled(np.float32(3.0)))) == 1.5
    traced, text = program(compiled, [], [ops.convert_to_tensor(np.float32(3.0))])
    assert HOST.findall(traced) and HOST.findall(text)


def test_results_stay_on_the_device_until_they_are_asked_for():
    import jax

    model = tiny_model(tiny_denoiser(num_classes=4))
    sampler = model.compiled_sampler(SAMPLING, BATCH)
    inputs = arguments()
    first = sampler(**inputs)
    with jax.transfer_guard("disallow"):
        again = sampler(**inputs)
    assert isinstance(again, jax.Array)
    np.testing.assert_array_equal(to_numpy(first), to_numpy(again))
