import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from keras_bld.diffusion import Sampling
from keras_bld.diffusion.inpainting import code_mask
from keras_bld.serving.signatures import (
    SMALLEST_TEMPERATURE,
    _touched_cells,
    diffusion_signatures,
)

SAMPLING = Sampling(num_steps=2)


def test_touched_cells_are_those_of_inpaint():
    mask = np.random.default_rng(0).random((3, 8, 4)) > 0.8
    received = to_numpy(_touched_cells(ops.convert_to_tensor(mask), (4, 2, 5)))
    np.testing.assert_array_equal(received, code_mask(mask[..., None], (4, 2, 5)))
    assert 0.0 < received.mean() < 1.0


@pytest.mark.parametrize(
    "options, condition",
    [
        ({}, {}),
        ({"num_classes": 5}, {"labels": (3,)}),
        ({"text_width": 6}, {"text_embeddings": (3, 6)}),
    ],
)
def test_inputs_and_their_order(make_autoencoder, make_diffusion, options, condition):
    model = make_diffusion(make_autoencoder(), **options)
    signatures = diffusion_signatures(model, SAMPLING, batch_size=3)
    shapes = {"seed": (), **condition, "temperature": (), "guidance_scale": ()}
    received = {key: spec.shape for key, spec in signatures["generate"].inputs.items()}
    assert received == shapes and list(received) == list(shapes)
    received = {key: spec.shape for key, spec in signatures["inpaint"].inputs.items()}
    shapes = {"images": (3, 8, 8, 3), "mask": (3, 8, 8), **shapes}
    assert received == shapes and list(received) == list(shapes)


def test_a_temperature_of_zero_is_taken_as_the_smallest(make_diffusion):
    model = make_diffusion()
    signature = diffusion_signatures(model, SAMPLING, batch_size=2)["generate_codes"]
    values = {"seed": np.int32(3), "temperature": np.float32(0), "guidance_scale": np.float32(0)}
    inputs = {name: ops.convert_to_tensor(value) for name, value in values.items()}
    received = to_numpy(signature.function(**inputs)["codes"])
    expected = model.generate_codes(2, num_steps=2, seed=3, temperature=SMALLEST_TEMPERATURE)
    assert received.dtype == np.uint8
    assert (received != expected).mean() <= 1e-3
