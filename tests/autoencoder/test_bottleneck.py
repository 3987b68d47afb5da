import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from keras_bld.autoencoder import Bottleneck

INPUTS = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float16")


class Doubled(Bottleneck):
    """Defines what it must and no more."""

    num_inputs = latent_channels = code_channels = 4

    def to_latents(self, inputs, training):
        assert "float32" in str(inputs.dtype)
        return 2.0 * inputs, ops.zeros(())


def test_without_more_the_latents_are_the_code():
    layer = Doubled()
    latents, loss = layer(INPUTS)
    np.testing.assert_allclose(to_numpy(latents), 2.0 * INPUTS.astype("float32"))
    inputs = ops.convert_to_tensor(INPUTS.astype("float32"))
    codes = layer.to_codes(inputs)
    np.testing.assert_array_equal(to_numpy(codes), to_numpy(latents))
    np.testing.assert_array_equal(to_numpy(layer.from_codes(codes)), to_numpy(latents))


def test_what_a_cell_is_worth():
    layer = Doubled()
    assert layer.bits_per_cell == 4
    layer.has_binary_codes = False
    assert layer.bits_per_cell == np.inf


def test_latents_must_be_defined():
    with pytest.raises(NotImplementedError, match="Bottleneck must define `to_latents`"):
        Bottleneck().to_latents(INPUTS, False)
