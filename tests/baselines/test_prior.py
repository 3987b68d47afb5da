import keras
import numpy as np
import pytest
from baselines.priors import MAKERS, SHAPE, constant_codes


@pytest.mark.parametrize("name", MAKERS)
def test_it_learns_what_the_class_says(name):
    codes, labels = constant_codes(64)
    model = MAKERS[name](num_classes=2)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(codes, labels, batch_size=32, epochs=30, verbose=0)
    made = model.generate_codes(16, labels=np.arange(16) % 2, guidance_scale=0.5, seed=0)
    assert np.mean(made == constant_codes(16)[0]) > 0.97
    assert set(np.unique(made)) <= {0.0, 1.0}
    # A code depends on the seed and its place, not on the batch it is in.
    few = model.generate_codes(16, labels=np.arange(16) % 2, guidance_scale=0.5, seed=0,
                               batch_size=5)  # fmt: skip
    np.testing.assert_array_equal(few, made)
    assert np.any(model.generate_codes(16, labels=0, seed=1, temperature=50.0) == 1)


@pytest.mark.parametrize("name", MAKERS)
def test_config(name):
    model = MAKERS[name]()
    again = type(model).from_config(model.get_config())
    assert again.code_shape == SHAPE and again.get_config().keys() == model.get_config().keys()
    # What belongs to the Bernoulli diffusion alone is not there.
    for name in ("inpaint", "likelihood", "schedule"):
        assert not hasattr(model, name)
