import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from keras_bld.diffusion import Sampling
from keras_bld.diffusion.inpainting import code_mask
from keras_bld.serving.signatures import (
    _touched_cells,
    sample_signature,
    step_signature,
    whole_signatures,
)

SAMPLING = Sampling(num_steps=2)


def rows(**values):
    """Inputs of rows as tensors."""
    kinds = {"seed": "int32", "index": "int32", "labels": "int32"}
    return {
        name: ops.convert_to_tensor(np.array(value, kinds.get(name, "float32")))
        for name, value in values.items()
    }


def test_touched_cells_are_those_of_inpaint():
    mask = np.random.default_rng(0).random((3, 8, 4)) > 0.8
    received = to_numpy(_touched_cells(ops.convert_to_tensor(mask), (4, 2, 5)))
    np.testing.assert_array_equal(received, code_mask(mask[..., None], (4, 2, 5)))
    assert 0.0 < received.mean() < 1.0


@pytest.mark.parametrize(
    "options, condition",
    [
        ({}, {}),
        ({"num_classes": 5}, {"labels": ()}),
        ({"text_width": 6}, {"text_embeddings": (6,)}),
    ],
)
def test_inputs_and_their_order(make_autoencoder, make_diffusion, options, condition):
    model = make_diffusion(make_autoencoder(), **options)
    signatures = whole_signatures(model, SAMPLING)
    shapes = {"seed": (), "index": (), **condition, "temperature": (), "guidance_scale": ()}
    received = {key: given.shape for key, given in signatures["generate"].inputs.items()}
    assert received == shapes and list(received) == list(shapes)
    received = {key: given.shape for key, given in signatures["inpaint"].inputs.items()}
    assert received == {"images": (8, 8, 3), "mask": (8, 8), **shapes}


def test_each_row_is_a_picture_of_its_own(make_diffusion):
    """Rows with different seeds, labels, temperatures and guidance are those of `generate`."""
    model = make_diffusion(num_classes=3)
    signature = whole_signatures(model, SAMPLING)["generate_codes"]
    received = to_numpy(
        signature.function(
            **rows(
                seed=[5, 6, 5, 7],
                index=[0, 2, 1, 0],
                labels=[1, 2, 0, -1],
                temperature=[0.8, 1.2, 0.5, 1.0],
                guidance_scale=[1.5, 0.0, 3.0, 2.0],
            )
        )
    )
    assert received.dtype == np.uint8
    calls = [(5, 0, 1, 0.8, 1.5), (6, 2, 2, 1.2, 0.0), (5, 1, 0, 0.5, 3.0)]
    for row, (seed, index, label, temperature, scale) in enumerate(calls):
        expected = model.generate_codes(
            index + 1, labels=label, seed=seed, num_steps=2, temperature=temperature,
            guidance_scale=scale,
        )[index]  # fmt: skip
        assert (received[row] != expected).mean() <= 0.05
    expected = model.generate_codes(
        1, drop_condition=True, seed=7, num_steps=2, temperature=1.0, guidance_scale=0.0
    )[0]
    assert (received[3] != expected).mean() <= 0.05


def test_zeros_for_a_text_are_none(make_diffusion):
    model = make_diffusion(text_width=6)
    signature = whole_signatures(model, SAMPLING)["generate_codes"]
    scalars = {"seed": [3], "index": [0], "temperature": [1.0], "guidance_scale": [0.0]}
    received = to_numpy(signature.function(**rows(text_embeddings=np.zeros((1, 6)), **scalars)))
    expected = model.generate_codes(1, drop_condition=True, seed=3, num_steps=2, temperature=1.0)
    assert (received != expected).mean() <= 0.05


@pytest.mark.parametrize("sampling", [SAMPLING, SAMPLING.replace(kappa=0.8, corrector_steps=2)])
def test_steps_in_a_loop_are_the_chain(make_diffusion, sampling):
    """What a host does with `step` is what `sample` does at once, known bits included."""
    model = make_diffusion(num_classes=3)
    num_calls = sampling.num_calls(2)
    whole = sample_signature(model, sampling)["sample"].function
    signature = step_signature(model, sampling)["step"]
    assert signature.inputs["step"].high == num_calls - 1
    step = signature.function
    random = np.random.default_rng(0)
    shape = (2, *model.code_shape)
    known = rows(known_codes=random.integers(0, 2, shape), known_mask=random.integers(0, 2, shape))
    drawn = rows(seed=[3, 4], index=[0, 5])
    common = rows(labels=[1, -1], temperature=[0.9, 1.1], guidance_scale=[1.0, 0.0])
    expected = to_numpy(whole(**drawn, **common, **known))
    from keras_bld.serving.client import uniforms

    noises = [uniforms([3, 4], [0, 5], number, shape) for number in range(num_calls + 1)]
    codes = ops.convert_to_tensor((noises[0] < 0.5).astype("float32"))
    for number in range(num_calls):
        noise = ops.convert_to_tensor(noises[number + 1])
        codes = step(
            codes=codes,
            step=ops.convert_to_tensor(np.int32(number)),
            noise=noise,
            **common,
            **known,
        )
    assert (to_numpy(codes) != expected).mean() <= 0.02
