import numpy as np
import pytest
from harness import check_config, check_keras_layer, check_keras_round_trip, to_numpy

from keras_bld.autoencoder import PatchCritic

IMAGES = np.random.default_rng(0).uniform(size=(2, 12, 16, 3)).astype("float32")


def test_shared_checks_and_shape():
    critic = PatchCritic(base_width=4, num_layers=2)
    check_config(PatchCritic, critic)
    check_keras_round_trip(critic, IMAGES)
    check_keras_layer(critic, IMAGES)
    assert to_numpy(critic(IMAGES)).shape == (2, 1, 2, 1)


@pytest.mark.once
def test_widths_double_up_to_eight_times():
    critic = PatchCritic(base_width=2, num_layers=5)
    critic.build((None, 96, 96, 1))
    widths = [block.filters for block in critic.blocks if hasattr(block, "filters")]
    assert widths == [2, 4, 8, 16, 16, 16, 1]
    biases = [block.use_bias for block in critic.blocks if hasattr(block, "filters")]
    assert biases == [True, False, False, False, False, False, True]


def test_training_uses_and_updates_the_statistics_of_the_batch():
    critic = PatchCritic(base_width=4, num_layers=1)
    evaluated = to_numpy(critic(IMAGES, training=False))
    norm = critic.blocks[3]
    before = to_numpy(norm.moving_mean)
    trained = to_numpy(critic(IMAGES, training=True))
    assert np.abs(trained - evaluated).max() > 1e-3
    assert np.abs(to_numpy(norm.moving_mean) - before).max() > 1e-6


def test_default_number_of_layers_follows_the_image_size():
    sizes = {256: 3, 24: 3, 23: 2, 16: 2, 12: 2, 8: 1}
    for size, num_layers in sizes.items():
        assert PatchCritic.largest_num_layers((size, 64, 3)) == num_layers


def test_too_small_images_are_refused():
    with pytest.raises(ValueError, match="num_layers.*received 3.*at least 24 pixels.*fewer"):
        PatchCritic(num_layers=3).build((None, 16, 16, 3))
