"""Models so small that a test takes milliseconds, and stand-ins whose answers are known."""

import keras
import numpy as np
from keras import ops

from keras_bld import random as bld_random
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion

CODE_SHAPE = (2, 2, 4)
IMAGE_SHAPE = (4, 4, 1)
NUM_STEPS = 8


def tiny_denoiser(**settings):
    """One block, 16 wide, for codes of `CODE_SHAPE`; `settings` override."""
    shape = {"code_shape": CODE_SHAPE, "depth": 1, "width": 16, "num_heads": 2}
    return BernoulliDenoiser(**{**shape, "num_steps": NUM_STEPS, **settings})


def tiny_model(denoiser=None, schedule=None, **settings):
    """A `BinaryLatentDiffusion` around `denoiser`, or around a tiny one."""
    denoiser = denoiser or tiny_denoiser()
    schedule = schedule or BernoulliNoiseSchedule(denoiser.num_steps)
    return BinaryLatentDiffusion(denoiser, schedule, **settings)


def random_codes(count, seed=0, code_shape=CODE_SHAPE):
    """Fair bits, float32 {0, 1} of shape (count, *code_shape)."""
    bits = np.random.default_rng(seed).integers(0, 2, (count, *code_shape))
    return bits.astype("float32")


def log_odds(probability):
    return np.log(probability) - np.log1p(-probability)


@keras.saving.register_keras_serializable("keras_bld_test")
class PixelAutoencoder(keras.Model):
    """Stands in for `BinaryAutoencoder`: a pixel is one bit, a 2 x 2 block of pixels one cell.

    A pixel is P(bit = 1). Decoded pixels are 0.25 and 0.75, so that they can be told from copies.
    The one weight does nothing; a test can see whether it is trained.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.code_shape = IMAGE_SHAPE, CODE_SHAPE
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")
        self.built = True

    def encode(self, images, deterministic=True, seed=None):
        array = not ops.is_tensor(images)
        images = ops.cast(ops.convert_to_tensor(images), "float32")
        cells = ops.reshape(images * self.gain, (-1, 2, 2, 2, 2))
        probabilities = ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4)), (-1, *CODE_SHAPE))
        bar = 0.5
        if not deterministic:
            indices = ops.arange(ops.shape(images)[0], dtype="int32")
            bar = bld_random.uniforms(seed, indices, 0, CODE_SHAPE)
        codes = ops.cast(bar < probabilities, "float32")
        return ops.convert_to_numpy(codes) if array else codes

    def decode(self, codes):
        array = not ops.is_tensor(codes)
        cells = ops.reshape(ops.convert_to_tensor(codes), (-1, 2, 2, 2, 2))
        pixels = ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4)), (-1, *IMAGE_SHAPE))
        images = (0.25 + 0.5 * pixels) * self.gain
        return ops.convert_to_numpy(images) if array else images

    def call(self, images):
        return self.decode(self.encode(images))


class StubDenoiser(keras.layers.Layer):
    """Stands in for `BernoulliDenoiser`: logits from a function of (codes, time_steps)."""

    def __init__(self, logits, code_shape=CODE_SHAPE, num_steps=NUM_STEPS, num_classes=None):
        super().__init__()
        self.logits = logits
        self.code_shape, self.num_steps, self.num_classes = code_shape, num_steps, num_classes
        self.condition_kind = None if num_classes is None else "class"
        self.built = True

    def call(self, codes, time_steps, condition=None, condition_present=None):
        if condition is None:
            return self.logits(codes, time_steps)
        return self.logits(codes, time_steps, condition, condition_present)
