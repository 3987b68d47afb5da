"""A prior of one's own: docs/adding.md shows this class."""

import keras
import numpy as np
from keras import ops
from small_models import small_autoencoder

from keras_bld.diffusion import BernoulliDenoiser, Sampling
from keras_bld.diffusion.code_prior import CodePrior
from keras_bld.diffusion.objective import bce_with_logits


class IndependentBits(CodePrior):
    """All bits at once, each by itself, given the class."""

    def corrupt(self, codes, time_steps):
        return {"noisy_codes": 0.5 * ops.ones_like(codes)}

    def loss_terms(self, outputs):
        bits = ops.mean(bce_with_logits(outputs["codes"], outputs["logits"]), axis=(1, 2, 3))
        right = ops.equal(outputs["logits"] > 0.0, outputs["codes"] > 0.5)
        accuracy = ops.mean(ops.cast(right, "float32"), axis=(1, 2, 3))
        return {"loss": bits, "bce": bits, "bits_per_dimension": bits, "accuracy": accuracy}

    def start(self, draw, batch_size):
        return ops.full((batch_size, *self.code_shape), 0.5, "float32")

    def make_step(self, sampling, logits_of, draw, known=None):
        def step(index, codes):
            logits = logits_of(0.5 * ops.ones_like(codes), ops.ones((codes.shape[0],), "int32"))
            return ops.cast(draw(0) < ops.sigmoid(logits / sampling.temperature), "float32")

        return step


def test_a_prior_of_ones_own_trains_and_samples():
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=1, num_classes=2)
    sampling = Sampling(temperature=0.2)
    model = IndependentBits(denoiser, small_autoencoder(), sampling=sampling, class_names="ab")
    labels = np.arange(32) % 2
    codes = np.broadcast_to(labels[:, None, None, None], (32, 4, 4, 4))
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(codes, labels, epochs=30, verbose=0)
    made = model.generate_codes(8, labels=["a", "b"] * 4, seed=0)
    assert np.mean(made == codes[:8]) > 0.95
    alone = model.generate_codes(8, labels=["a", "b"] * 4, seed=0, batch_size=3)
    np.testing.assert_array_equal(alone, made)
    assert model.generate(2, labels="a").shape == (2, 8, 8, 3)
    again = IndependentBits.from_config(model.get_config())
    assert again.sampling == sampling and again.class_names == ("a", "b")
