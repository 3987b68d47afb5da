import numpy as np
import pytest
from harness import check_config, check_keras_layer, check_keras_round_trip

from keras_bld.autoencoder import Encoder
from keras_bld.autoencoder.blocks import AttentionBlock, Downsample, ResidualBlock

IMAGES = np.random.default_rng(0).uniform(size=(2, 8, 4, 3)).astype("float32")
SIZES = {"base_width": 4, "num_blocks": 1, "embedding_width": 6, "num_groups": 2}


def test_shared_checks():
    encoder = Encoder(**SIZES, width_multipliers=(1, 2), attention_resolutions=(4,))
    check_config(Encoder, encoder)
    check_keras_round_trip(encoder, IMAGES)
    assert encoder.compute_output_shape(IMAGES.shape) == tuple(encoder(IMAGES).shape)
    assert tuple(encoder(IMAGES).shape) == (2, 4, 2, 6)
    check_keras_layer(encoder, IMAGES)


@pytest.mark.once
def test_attention_is_at_the_heights_asked_for():
    encoder = Encoder(**SIZES, width_multipliers=(1, 1, 1), attention_resolutions=(8, 2))
    encoder.build((None, 8, 8, 3))
    kinds = {ResidualBlock: "R", AttentionBlock: "A", Downsample: "D"}
    # 8 x 8, 4 x 4, 2 x 2, and the middle.
    assert "".join(kinds.get(type(block), "") for block in encoder.blocks) == "RADRDRARAR"
