import numpy as np
import pytest
from harness import check_config, check_keras_layer, check_keras_round_trip, to_numpy

from keras_bld.autoencoder import Decoder
from keras_bld.autoencoder.blocks import AttentionBlock, ResidualBlock, Upsample
from keras_bld.autoencoder.group_norm import GroupNorm

CODES = np.random.default_rng(0).integers(0, 2, (2, 4, 2, 5)).astype("float32")
SIZES = {"base_width": 4, "num_blocks": 1, "embedding_width": 6, "num_groups": 2}


def test_shared_checks():
    decoder = Decoder(3, **SIZES, width_multipliers=(1, 2), attention_resolutions=(4,))
    check_config(Decoder, decoder)
    check_keras_round_trip(decoder, CODES)
    assert decoder.compute_output_shape(CODES.shape) == tuple(decoder(CODES).shape)
    assert tuple(decoder(CODES).shape) == (2, 8, 4, 3)
    check_keras_layer(decoder, CODES)


def test_an_image_is_the_last_convolution_of_the_features():
    decoder = Decoder(1, **SIZES, width_multipliers=(1, 2), norm_first=False)
    decoder.build(CODES.shape)
    image = to_numpy(decoder.last_convolution(decoder.features(CODES)))
    np.testing.assert_allclose(to_numpy(decoder(CODES)), image, atol=1e-6)


@pytest.mark.once
def test_the_order_of_the_blocks():
    decoder = Decoder(1, **SIZES, width_multipliers=(1, 1, 1), attention_resolutions=(8, 2))
    decoder.build((None, 2, 2, 5))
    kinds = {ResidualBlock: "R", AttentionBlock: "A", Upsample: "U", GroupNorm: "N"}
    # The middle, 2 x 2, 4 x 4, 8 x 8.
    assert "".join(kinds.get(type(block), "") for block in decoder.blocks) == "NRARRAURURAN"
