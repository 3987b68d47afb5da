"""A target of one's own: docs/adding.md shows this row."""

import keras
import numpy as np
import pytest
from keras import ops
from small_models import LinearDenoiser, StubDenoiser, random_codes, tiny_model

from keras_bld.diffusion.targets import TARGETS, Target


@pytest.fixture
def opposite(monkeypatch):
    """The network says how sure it is that a bit of z^0 is 0."""

    def to_flip_logits(logits, noisy_codes, channel):
        return -logits * (1.0 - 2.0 * noisy_codes)

    monkeypatch.setitem(TARGETS, "opposite", Target("1 - z^0", to_flip_logits))


def test_a_target_of_ones_own_trains_and_samples(opposite):
    codes = random_codes(6)
    oracle = StubDenoiser(lambda *_: 60.0 * (1.0 - 2.0 * ops.convert_to_tensor(codes)))
    model = tiny_model(oracle, target="opposite")
    np.testing.assert_array_equal(model.generate_codes(6, num_steps=3, seed=0), codes)
    bound = model.likelihood(codes)["bits_per_dimension"]
    np.testing.assert_allclose(bound, 0.0, atol=1e-5)

    model = tiny_model(LinearDenoiser(), target="opposite")
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(np.ones((32, *model.code_shape)), epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    with pytest.raises(ValueError, match="'opposite'"):  # messages know it
        tiny_model(target="another")
