import pytest

from keras_bld.diffusion import Sampling
from keras_bld.training import Recipe

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 250}, "multiple of 16"),
        ({"sampling": Sampling(num_steps=65)}, r"\[1, 64\]"),
        ({"diffusion_steps": 0}, ">= 1"),
        ({"bottleneck": "ternary"}, "'ternary'.*'bernoulli', 'vector_quantized'"),
        ({"bottleneck": "real_valued"}, "real numbers.*'all'.*'bernoulli'.*stage=.autoencoder"),
        ({"bottleneck": "lookup_free", "sharpness": 5.0}, "sharpness.*'lookup_free'.*has none"),
        (
            {"bottleneck": "lookup_free", "bit_gradient": "reinmax"},
            "bit_gradient.*'lookup_free'.*has none.*pass bit_gradient=\"straight_through\"",
        ),
        ({"autoencoder_crop_size": 120}, "multiple of 16 and at most 256"),
        ({"autoencoder_crop_size": 272}, "at most 256"),
        (
            {"autoencoder_steps": 1200, "steps_per_epoch": 250},
            "autoencoder_steps.*pass 1000 or 1250",
        ),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**change)
