import keras
import numpy as np
import pytest
import torch

from keras_bld.conversion.published_state import (
    kind_of,
    missing_tensors,
    published_state,
    split_left_over,
)

pytestmark = pytest.mark.once

DENOISER = ("_denoise_fn.tok_emb.weight", "_denoise_fn.blocks.0.gamma_1", "scheduler.beta")
AUTOENCODER = ("ae.encoder.blocks.0.weight", "ae.quantize.embed.weight", "disc.main.0.weight")


def state_of(names, prefix="", strip=""):
    return {prefix + name.removeprefix(strip): np.full(2, i) for i, name in enumerate(names)}


@pytest.mark.parametrize("kind, names", [("diffusion", DENOISER), ("autoencoder", AUTOENCODER)])
@pytest.mark.parametrize(
    "prefix", ["", "module.", "ema.", "_orig_mod.", "module._orig_mod.", "ema.module.", "a.b."]
)
def test_prefixes_are_stripped(kind, names, prefix):
    state = published_state(state_of(names, prefix), kind)
    assert tuple(state.arrays) == names
    assert state.names == {name: prefix + name for name in names}
    assert [int(array[0]) for array in state.arrays.values()] == [0, 1, 2]
    assert state.left_over == {}


@pytest.mark.parametrize(
    "kind, names, network",
    [("diffusion", DENOISER, "_denoise_fn."), ("autoencoder", AUTOENCODER, "ae.")],
)
@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_network_alone(kind, names, network, prefix):
    """The published sampler saves the autoencoder without `ae.`; a bare denoiser likewise."""
    state = published_state(state_of(names, prefix, strip=network), kind)
    assert tuple(state.arrays) == names


def test_wrapper_inside_of_a_name():
    inside = {"_denoise_fn.module.tok_emb.weight": np.zeros(1)}
    assert list(published_state(inside, "diffusion").arrays) == ["_denoise_fn.tok_emb.weight"]


def test_tensors_of_any_framework_and_numbers_become_arrays():
    name = DENOISER[0]
    for value in (keras.ops.ones(2), torch.ones(2, requires_grad=True), np.ones(2)):
        (array,) = published_state({name: value}, "diffusion").arrays.values()
        assert isinstance(array, np.ndarray) and array.tolist() == [1.0, 1.0]
    state = published_state({name: np.ones(2), "step": 3, "note": "text"}, "diffusion")
    assert state.arrays["step"] == 3
    assert state.left_over == {"note": "not a tensor, but a str"}


def test_averaged_weights_win():
    both = state_of(DENOISER, "model.") | state_of(DENOISER[:1], "ema.") | {"epoch": 3}
    state = published_state(both, "diffusion")
    assert state.names == {DENOISER[0]: "ema." + DENOISER[0]}
    assert "another copy" in state.left_over["model." + DENOISER[0]]
    assert "outside of the diffusion model" in state.left_over["epoch"]


def test_kind_of():
    assert kind_of(state_of(DENOISER, "module.")) == "diffusion"
    assert kind_of(state_of(AUTOENCODER, strip="ae.")) == "autoencoder"
    with pytest.raises(ValueError, match="received both models"):
        kind_of(state_of(DENOISER + AUTOENCODER))
    with pytest.raises(ValueError, match="received neither model in tensors named `x`"):
        kind_of({"x": np.zeros(1)})
    with pytest.raises(TypeError, match="received a NoneType"):
        kind_of(None)


def test_sizes_are_read_with_a_check():
    state = published_state(state_of(DENOISER, "module."), "diffusion")
    assert state.shape("scheduler.beta", 1) == (2,)
    assert state.indices("_denoise_fn.blocks.") == [0]
    with pytest.raises(
        ValueError, match=r"`module.scheduler.beta` of shape \(2,\); expected 2 dim"
    ):
        state.shape("scheduler.beta", 2)
    with pytest.raises(ValueError, match="without `_denoise_fn.pos_emb`"):
        state.shape("_denoise_fn.pos_emb", 3)


def test_left_over_has_a_reason_or_is_refused():
    state = published_state(state_of(DENOISER) | {"other": np.zeros(1)}, "diffusion")
    reasons = [("scheduler.*", "computed"), ("*", "too late")]
    left_over = split_left_over(
        state, {DENOISER[0], DENOISER[1]}, reasons[:1], (), ("_denoise_fn.",)
    )
    assert left_over == {
        "scheduler.beta": "computed",
        "other": "unknown name, outside of the networks",
    }
    left_over = split_left_over(state, {DENOISER[0]}, reasons, ("*gamma_1",), ("_denoise_fn.",))
    assert left_over[DENOISER[1]] == "ignored, as asked"
    assert left_over["other"] == "too late"
    with pytest.raises(ValueError, match=r"no place for: `_denoise_fn.*ignore=\('_denoise_fn"):
        split_left_over(state, {DENOISER[0]}, reasons[:1], (), ("_denoise_fn.",))


def test_missing_tensors_are_listed_up_to_four():
    state = published_state(state_of(DENOISER), "diffusion")
    message = str(missing_tensors([f"t{i}" for i in range(6)], state))
    assert "without `t0`, `t1`, `t2`, `t3` and 2 more" in message
    assert "it has 3 tensors, such as `_denoise_fn.tok_emb.weight`" in message
