"""docs/adding.md, "A bottleneck": one that the library does not know, in both stages."""

import keras
import numpy as np
from baselines.bottleneck_contract import check_bottleneck
from harness import QUICK_JIT
from keras import ops
from small_models import small_autoencoder

import keras_bld
from keras_bld.autoencoder import Bottleneck, straight_through


@keras.saving.register_keras_serializable("keras_bld")
class Ternary(Bottleneck):
    """Each channel becomes -1, 0 or +1; two bits say whether it is above -0.1 and above 0.1."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = self.num_inputs = self.latent_channels = channels
        self.code_channels = 2 * channels

    def to_latents(self, inputs, training):
        levels = self.from_codes(self.to_codes(inputs))
        return straight_through(levels, inputs), 0.25 * ops.mean(ops.square(inputs - levels))

    def to_codes(self, inputs, noise=None):
        above = ops.concatenate([inputs > -0.1, inputs > 0.1], axis=-1)
        return ops.cast(above, "float32")

    def from_codes(self, codes):
        lower, upper = ops.split(codes, 2, axis=-1)
        return lower + upper - 1.0

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


def test_a_bottleneck_of_ones_own(tmp_path):
    check_bottleneck(Ternary(3))
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype="uint8")
    autoencoder = small_autoencoder(bottleneck=Ternary(3))
    autoencoder.compile("adam", jit_compile=QUICK_JIT)
    history = autoencoder.fit(images, batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"]).all() and history["bottleneck_loss"][0] > 0
    loaded = keras_bld.load_preset(autoencoder.save_to_preset(tmp_path / "preset"))
    codes = loaded.encode(images)
    np.testing.assert_array_equal(codes, autoencoder.encode(images))
    assert codes.shape == (8, 4, 4, 6) and set(np.unique(codes)) == {0.0, 1.0}

    denoiser = keras_bld.BernoulliDenoiser(loaded.code_shape, 1, 16, 2, num_training_steps=4)
    schedule = keras_bld.BernoulliNoiseSchedule(4)
    model = keras_bld.BinaryLatentDiffusion(denoiser, schedule, loaded)
    model.compile("adam", jit_compile=QUICK_JIT)
    assert np.isfinite(model.train_on_batch(images)).all()
    assert model.generate(2, seed=0).shape == (2, 8, 8, 3)
