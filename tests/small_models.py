"""Small models of each stage, what they are for, and stand-ins whose answers are known."""

import keras
import numpy as np
from harness import to_numpy
from keras import ops

from keras_bld.autoencoder import BinaryAutoencoder, small_decoder_options
from keras_bld.autoencoder.decoders import rebuilt
from keras_bld.base import random as bld_random
from keras_bld.base.backend import compile_function
from keras_bld.baselines import BottleneckAutoencoder
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.presets.training_parts import with_parts


def small_autoencoder(image_shape=(8, 8, 3), code_channels=4, bottleneck=None, **options):
    """8 x 8 x 3 images, 4 x 4 x 4 bits; or with a bottleneck of its own. `options` override."""
    sizes = {"base_width": 8, "width_multipliers": (1, 2), "num_blocks": 1, "num_groups": 4}
    options = {**sizes, "embedding_width": 8, **options}
    if bottleneck is not None:
        return BottleneckAutoencoder(image_shape, bottleneck, **options)
    return BinaryAutoencoder(image_shape, code_channels, **options)


def small_diffusion(autoencoder=None, **options):
    """A diffusion of four steps for the codes of `small_autoencoder`."""
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=4, **options)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)


NUM_CLASSES = 3  # of `shapes`


def shapes(num_images, seed):
    """Gray images of 16 x 16 of three brightnesses, with noise, and their classes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num_images) % NUM_CLASSES
    levels = (60 + 60 * labels)[:, None, None, None]
    images = np.clip(levels + generator.normal(0, 20, (num_images, 16, 16, 1)), 0, 255)
    return images.astype("uint8"), labels


def shapes_model():
    """A class-conditional diffusion of four steps for `shapes`, with its autoencoder."""
    autoencoder = small_autoencoder(
        (16, 16, 1),
        base_width=4,
        width_multipliers=(1, 1),
        num_groups=2,
        attention_resolutions=(),
    )
    denoiser = BernoulliDenoiser((8, 8, 4), 1, 16, 2, num_training_steps=4, num_classes=NUM_CLASSES)
    return BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)


def with_small_decoder(model):
    """A diffusion like another, whose autoencoder has an untrained small decoder as well."""
    full = model.autoencoder
    small = small_decoder_options(full, 0.9)
    return with_parts(model, autoencoder=rebuilt(full, full.decoder_options or None, small))


# Models so small that a test takes milliseconds, and stand-ins -----------------------------------

CODE_SHAPE = (2, 2, 4)
IMAGE_SHAPE = (4, 4, 1)
NUM_STEPS = 8


def tiny_denoiser(**settings):
    """One block, 16 wide, for codes of `CODE_SHAPE`; `settings` override."""
    shape = {"code_shape": CODE_SHAPE, "depth": 1, "width": 16, "num_heads": 2}
    return BernoulliDenoiser(**{**shape, "num_training_steps": NUM_STEPS, **settings})


def tiny_model(denoiser=None, schedule=None, **settings):
    """A `BinaryLatentDiffusion` around `denoiser`, or around a tiny one."""
    denoiser = denoiser or tiny_denoiser()
    schedule = schedule or BernoulliNoiseSchedule(denoiser.num_training_steps)
    return BinaryLatentDiffusion(denoiser, schedule, **settings)


def compiled_model(learning_rate=0.1, use_ema=False, denoiser=None, **settings):
    """A `tiny_model`, by default around a `LinearDenoiser`, that is ready for `fit`."""
    model = tiny_model(denoiser or LinearDenoiser(), **settings)
    model.compile(keras.optimizers.Adam(learning_rate, use_ema=use_ema))
    return model


def step_of(model, x):
    """What `model(x)` draws and returns, in one compiled call."""
    compiled = compile_function(lambda x: model(x), lambda: model.variables)
    return to_numpy(compiled(x))


def random_codes(count, seed=0, code_shape=CODE_SHAPE):
    """Fair bits, float32 {0, 1} of shape (count, *code_shape)."""
    bits = np.random.default_rng(seed).integers(0, 2, (count, *code_shape))
    return bits.astype("float32")


def striped_codes(count, seed=0, noise=0.05):
    """Codes near one pattern, 0101 in every cell, so that there is something to learn."""
    pattern = np.broadcast_to(np.arange(CODE_SHAPE[-1]) % 2, CODE_SHAPE)
    flips = np.random.default_rng(seed).random((count, *CODE_SHAPE)) < noise
    return abs(pattern - flips).astype("float32")


def log_odds(probability):
    return np.log(probability) - np.log1p(-probability)


@keras.saving.register_keras_serializable("keras_bld_test")
class PixelAutoencoder(keras.Model):
    """Stands in for `BinaryAutoencoder`: a pixel is one bit, a 2 x 2 block of pixels one cell.

    A pixel is P(bit = 1). Decoded pixels are 0.25 and 0.75, so that they can be told from copies.
    The one weight, a factor of 1 in a layer inside, does nothing; a test can see whether it is
    trained.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.code_shape = IMAGE_SHAPE, CODE_SHAPE
        self.gain = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="gain")
        self.gain.build((None, 1))
        self.built = True

    def encode(self, images, deterministic=True, seed=None):
        array = not ops.is_tensor(images)
        images = ops.cast(ops.convert_to_tensor(images), "float32")
        cells = ops.reshape(self.gain(images), (-1, 2, 2, 2, 2))
        probabilities = ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4)), (-1, *CODE_SHAPE))
        threshold = 0.5
        if not deterministic:
            indices = ops.arange(ops.shape(images)[0], dtype="int32")
            threshold = bld_random.uniforms(seed, indices, 0, CODE_SHAPE)
        codes = ops.cast(threshold < probabilities, "float32")
        return ops.convert_to_numpy(codes) if array else codes

    def decode(self, codes):
        array = not ops.is_tensor(codes)
        cells = ops.reshape(ops.convert_to_tensor(codes), (-1, 2, 2, 2, 2))
        pixels = ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4)), (-1, *IMAGE_SHAPE))
        images = self.gain(0.25 + 0.5 * pixels)
        return ops.convert_to_numpy(images) if array else images

    def call(self, images):
        return self.decode(self.encode(images))


class StubDenoiser(keras.layers.Layer):
    """Stands in for `BernoulliDenoiser`: logits from a function of (codes, time_steps)."""

    def __init__(
        self, logits, code_shape=CODE_SHAPE, num_training_steps=NUM_STEPS, num_classes=None
    ):
        super().__init__()
        self.logits = logits
        self.code_shape, self.num_training_steps, self.num_classes = (
            code_shape,
            num_training_steps,
            num_classes,
        )
        self.condition_kind = None if num_classes is None else "class"
        self.built = True

    def call(self, codes, time_steps, condition=None, condition_present=None):
        if condition is None:
            return self.logits(codes, time_steps)
        return self.logits(codes, time_steps, condition, condition_present)


def simple_logits(codes, time_steps, condition=None, present=None):
    """For a `StubDenoiser`: logits that depend on every input; NumPy can follow them."""
    logits = 2.0 * ops.roll(codes, 1, axis=-1) - 1.0
    logits = logits + ops.cast(time_steps, "float32")[:, None, None, None] / 7.0 - 0.5
    if condition is None:
        return logits
    labels = ops.cast(condition, "float32")[:, None, None, None]
    if present is not None:
        labels = ops.where(present[:, None, None, None], labels, -0.7)
    return logits + 0.3 * labels


@keras.saving.register_keras_serializable("keras_bld_test")
class LinearDenoiser(keras.Model):
    """Trains in place of `BernoulliDenoiser` and compiles in no time.

    Logits are (2z - 1) @ kernel + a row for each time step + a row for each class.
    """

    def __init__(
        self, code_shape=CODE_SHAPE, num_training_steps=NUM_STEPS, num_classes=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.code_shape, self.num_training_steps, self.num_classes = (
            tuple(code_shape),
            num_training_steps,
            num_classes,
        )
        self.condition_kind = None if num_classes is None else "class"
        width = code_shape[-1]
        self.kernel = self.add_weight(shape=(width, width), name="kernel")
        self.by_time = self.add_weight(
            shape=(num_training_steps, width), initializer="zeros", name="by_time"
        )
        if num_classes is not None:
            self.by_class = self.add_weight(
                shape=(num_classes, width), initializer="zeros", name="by_class"
            )
        self.built = True

    def call(self, codes, time_steps, condition=None, condition_present=None):
        logits = ops.matmul(2.0 * codes - 1.0, self.kernel)
        logits = logits + ops.take(self.by_time, time_steps - 1, axis=0)[:, None, None]
        if condition is not None:
            rows = ops.take(self.by_class, condition, axis=0)
            if condition_present is not None:
                rows = rows * ops.cast(condition_present, "float32")[:, None]
            logits = logits + rows[:, None, None]
        return logits

    def get_config(self):
        return {
            **super().get_config(),
            "code_shape": list(self.code_shape),
            "num_training_steps": self.num_training_steps,
            "num_classes": self.num_classes,
        }
