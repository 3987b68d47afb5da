import functools

import keras
import numpy as np
import pytest
from diffusion.published import LOGIT_TOLERANCE, MODELS, as_grid, published_denoiser, reference
from harness import (
    QUICK_CHECK,
    check_config,
    check_dtype_policies,
    check_keras_layer_of_several,
    check_keras_round_trip,
    to_numpy,
)
from small_models import CODE_SHAPE, NUM_STEPS, random_codes, tiny_denoiser

from keras_bld.base.backend import compile_function
from keras_bld.diffusion import BernoulliDenoiser
from keras_bld.diffusion.embeddings import sine_position_table

BATCH = 3
TIME_STEPS = np.array([1, 4, 8], "int32")
PRESENT = np.array([True, False, True])
# Kind of condition -> what the denoiser needs for it.
CONDITIONED = {
    "class": {"num_classes": 5},
    "token": {"text_width": 6},
    "cross_attention": {"text_width": 6, "text_conditioning": "cross_attention"},
}


def condition_for(kind, seed=0):
    generator = np.random.default_rng(seed)
    if kind == "class":
        return (np.arange(BATCH) + seed).astype("int32")
    shape = (BATCH, 6) if kind == "token" else (BATCH, 4, 6)
    return generator.standard_normal(shape).astype("float32")


@functools.cache
def compiled(denoiser):
    return compile_function(denoiser, lambda: denoiser.variables)


def forward(denoiser, *inputs):
    """Logits, compiled: JAX without compilation is slow."""
    return to_numpy(compiled(denoiser)(*inputs))


@pytest.mark.parametrize("name", MODELS)
def test_published_logits(name):
    published, denoiser = reference(name), published_denoiser(name)
    codes, time_steps = as_grid(published["xt"]), published["t"].astype("int32")
    without = forward(denoiser, codes, time_steps)
    if name == "denoiser_uncond":
        expected = {"logits": without}
    else:
        labels = published["condition"].astype("int32")
        none_present = np.zeros(3, bool)
        masked = forward(denoiser, codes, time_steps, labels, none_present)
        np.testing.assert_allclose(masked, without, rtol=0, atol=1e-5)
        expected = {
            "logits": forward(denoiser, codes, time_steps, labels),
            "logits_uncond": without,
        }
    for key, received in expected.items():
        np.testing.assert_allclose(received, as_grid(published[key]), rtol=0, atol=LOGIT_TOLERANCE)


@pytest.mark.parametrize("kind", CONDITIONED)
def test_a_masked_condition_is_a_condition_left_out(kind):
    denoiser = tiny_denoiser(**CONDITIONED[kind])
    assert denoiser.condition_kind == kind
    codes, condition = random_codes(BATCH), condition_for(kind)
    given = forward(denoiser, codes, TIME_STEPS, condition)
    without = forward(denoiser, codes, TIME_STEPS)
    mixed = forward(denoiser, codes, TIME_STEPS, condition, PRESENT)
    expected = np.where(PRESENT[:, None, None, None], given, without)
    np.testing.assert_allclose(mixed, expected, rtol=0, atol=1e-5)
    assert abs(given - without).max(axis=(1, 2, 3)).min() > 1e-3  # the condition matters
    # Another condition for one sample and another code for the next leave the first alone.
    other, changed_codes = condition.copy(), codes.copy()
    other[1], changed_codes[2] = condition_for(kind, seed=1)[1], 1 - codes[2]
    change = abs(forward(denoiser, changed_codes, TIME_STEPS, other) - given).max(axis=(1, 2, 3))
    assert change[0] < 1e-5 and change[1] > 1e-4 and change[2] > 1e-4


def test_a_patch_is_a_cell_of_more_bits():
    """Tokens of 2 x 2 cells: the same as codes whose cells were gathered beforehand."""
    height, columns, channels = CODE_SHAPE
    gathered = (height // 2, columns // 2, 4 * channels)
    patched, plain = (
        tiny_denoiser(**CONDITIONED["class"], **sizes)
        for sizes in ({"patch_size": 2}, {"code_shape": gathered})
    )
    patched.set_weights(plain.get_weights())
    codes, labels = random_codes(BATCH), condition_for("class")

    def gather(array):
        squares = [array[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return np.concatenate(squares, axis=-1)

    expected = forward(plain, gather(codes), TIME_STEPS, labels, PRESENT)
    received = forward(patched, codes, TIME_STEPS, labels, PRESENT)
    np.testing.assert_allclose(gather(received), expected, rtol=0, atol=1e-5)


def test_time_matters_and_scales_with_the_steps_of_training():
    """t = 5 of 8 is t = 9 of 16 with the same weights."""
    eight, sixteen = tiny_denoiser(num_training_steps=8), tiny_denoiser(num_training_steps=16)
    sixteen.set_weights(eight.get_weights())
    codes = random_codes(1)
    at_five = forward(eight, codes, np.array([5], "int32"))
    same = forward(sixteen, codes, np.array([9], "int32"))
    np.testing.assert_allclose(at_five, same, rtol=0, atol=1e-5)
    assert abs(at_five - forward(eight, codes, np.array([6], "int32"))).max() > 1e-3


@pytest.mark.once
def test_initial_weights_are_the_published_kind():
    denoiser = BernoulliDenoiser((8, 8, 32), 1, 64, 4, 16, num_classes=50)
    np.testing.assert_array_equal(to_numpy(denoiser.positions), sine_position_table(8, 8, 64))
    assert to_numpy(denoiser.token_embedding.kernel).std() == pytest.approx(0.02, rel=0.1)
    assert to_numpy(denoiser.condition_embedding.embeddings).std() == pytest.approx(1, rel=0.1)
    head = to_numpy(denoiser.head.kernel)
    assert abs(head).max() <= 1 / 8 and abs(head).max() > 0.95 / 8  # torch: +-1 / sqrt(fan in)
    assert not hasattr(denoiser.token_embedding, "bias") or denoiser.token_embedding.bias is None


def count(depth, code_shape, width, num_heads, num_classes=None):
    return BernoulliDenoiser(
        code_shape, depth, width, num_heads, 256, num_classes=num_classes
    ).count_params()


# Of the paper's denoisers: 16 x 16 cells, 24 blocks.
PUBLISHED_COUNTS = {
    76_372_000: {"code_shape": (16, 16, 32), "width": 512, "num_heads": 8},
    172_391_488: {"code_shape": (16, 16, 64), "width": 768, "num_heads": 12, "num_classes": 1000},
}


@pytest.mark.once
@pytest.mark.parametrize("expected", PUBLISHED_COUNTS)
def test_published_sizes_from_two_small_ones(expected):
    """Blocks are alike, so that depths 1 and 2 tell the size of 24."""
    one, two = (count(depth, **PUBLISHED_COUNTS[expected]) for depth in (1, 2))
    assert one + 23 * (two - one) == expected


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("expected", PUBLISHED_COUNTS)
def test_published_sizes(expected):
    assert count(24, **PUBLISHED_COUNTS[expected]) == expected


def test_dtype_policies_give_finite_float32_logits():
    settings = CONDITIONED["cross_attention"]
    weights = tiny_denoiser(**settings).get_weights()
    inputs = [random_codes(BATCH), TIME_STEPS, condition_for("cross_attention"), PRESENT]

    def build():
        denoiser = tiny_denoiser(**settings)
        denoiser.set_weights(weights)
        return lambda arrays: compiled(denoiser)(*arrays)

    tolerances = {"mixed_bfloat16": 0.1, "mixed_float16": 0.02}
    if keras.config.backend() == "jax":
        del tolerances["mixed_float16"]  # JAX compiles no float16 attention for a CPU
    outputs = check_dtype_policies(build, inputs, ("float32", *tolerances), dtype="float32")
    for policy, tolerance in tolerances.items():
        np.testing.assert_allclose(outputs[policy], outputs["float32"], rtol=0, atol=tolerance)
        assert (outputs[policy] != outputs["float32"]).any()  # it did run in half precision


@pytest.mark.parametrize("kind", [None, *CONDITIONED])
def test_config(kind):
    denoiser = tiny_denoiser(dtype="mixed_bfloat16", **CONDITIONED.get(kind, {}))
    rebuilt = check_config(BernoulliDenoiser, denoiser)
    assert rebuilt.count_params() == denoiser.count_params()


def test_keras_own_checks():
    inputs = random_codes(BATCH), TIME_STEPS, condition_for("class")
    check_keras_layer_of_several(tiny_denoiser(**CONDITIONED["class"]), *inputs, **QUICK_CHECK)


@pytest.mark.once
def test_every_weight_has_its_own_path():
    """By which torch knows it; the blocks' once were all "query_key_value/kernel"."""
    weights = tiny_denoiser(depth=2, **CONDITIONED["cross_attention"]).weights
    assert len({weight.path for weight in weights}) == len(weights)


def test_round_trip_in_a_keras_file():
    inputs = [random_codes(BATCH), TIME_STEPS, condition_for("cross_attention")]
    symbolic = [keras.Input(array.shape[1:], dtype=str(array.dtype)) for array in inputs]
    denoiser = tiny_denoiser(name="denoiser", **CONDITIONED["cross_attention"])
    loaded = check_keras_round_trip(keras.Model(symbolic, denoiser(*symbolic)), inputs)
    assert loaded.get_layer("denoiser").condition_kind == "cross_attention"


@pytest.mark.once
@pytest.mark.parametrize(
    "settings, message",
    [
        ({"code_shape": (4, 4)}, r"`code_shape`: received \(4, 4\); expected three positive"),
        ({"code_shape": (4, 0, 8)}, "`code_shape`"),
        ({"depth": 0}, "`depth`: received 0"),
        ({"width": 18, "num_heads": 2}, "`width`: received width 18 with 2 heads"),
        ({"width": 16, "num_heads": 3}, "`width`: received width 16 with 3 heads"),
        ({"num_heads": 0}, "`num_heads`: received 0"),
        ({"patch_size": 3}, "`patch_size`: received 3 for codes of"),
        ({"num_training_steps": 0}, "`num_training_steps`: received 0"),
        ({"num_classes": 0}, "`num_classes`: received 0"),
        ({"text_width": 0}, "`text_width`: received 0"),
        ({"num_classes": 2, "text_width": 4}, "`num_classes`: .*; expected one condition"),
        ({"text_conditioning": "film"}, "`text_conditioning`: received 'film'"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny_denoiser(**settings)


def test_refuses_inputs():
    denoiser = tiny_denoiser()
    with pytest.raises(ValueError, match=r"`codes`: received shape \(4, 4, 4, 4\)"):
        denoiser(np.zeros((4, 4, 4, 4)), np.ones(4, "int32"))
    with pytest.raises(ValueError, match="`condition`: .* the denoiser is unconditional"):
        denoiser(np.zeros((2, *CODE_SHAPE)), np.array([1, NUM_STEPS]), np.zeros(2, "int32"))
