"""DiffAugment: the critic sees augmented images, real and reconstructed alike."""

import keras
from keras import ops

from keras_bld.base import checks, replicas

POLICIES = ("color", "translation", "cutout")
TRANSLATION_RATIO = 1 / 8
CUTOUT_RATIO = 1 / 2


@keras.saving.register_keras_serializable("keras_bld")
class DiffAugment(keras.layers.Layer):
    """Random changes of an image batch that gradients pass through.

    Source: Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", as
    used by the published code (policy color, translation).

    - "color": brightness + U(-0.5, 0.5); saturation times U(0, 2), around the grey of a pixel;
      contrast times U(0.5, 1.5), around the mean of the image.
    - "translation": a shift by up to 1/8 of the size, zeros come in.
    - "cutout": a square of half the size, anywhere (also partly outside), becomes zero.

    Args:
        policy: names out of "color", "translation" and "cutout", applied in that order.
        seed: int seed of the layer's own generator.

    Call arguments:
        images: floating point (batch, height, width, channels).

    Output shape: same as the input's.

    Raises:
        ValueError: an unknown name in `policy`.
    """

    def __init__(self, policy=("color", "translation"), seed=None, **kwargs):
        super().__init__(**kwargs)
        self.policy = (policy,) if isinstance(policy, str) else tuple(policy)
        for name in self.policy:
            checks.check_choice("policy", name, POLICIES)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images):
        """Augment every image on its own."""
        if "color" in self.policy:
            images = self._change_color(images)
        if "translation" in self.policy:
            images = self._translate(images)
        if "cutout" in self.policy:
            images = self._cut_out(images)
        return images

    def _change_color(self, images):
        batch = ops.shape(images)[0]
        numbers = replicas.uniform((3, batch, 1, 1, 1), self.seed_generator, axis=1)
        numbers = ops.cast(numbers, images.dtype)
        images = images + (numbers[0] - 0.5)
        grey = ops.mean(images, axis=-1, keepdims=True)
        images = (images - grey) * (numbers[1] * 2.0) + grey
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return (images - mean) * (numbers[2] + 0.5) + mean

    def _translate(self, images):
        for axis in (1, 2):
            size = images.shape[axis]
            largest = int(size * TRANSLATION_RATIO + 0.5)
            shift = self._integers(ops.shape(images)[0], -largest, largest)
            source = ops.arange(size, dtype="int32")[None] - shift[:, None]  # (batch, size)
            inside = ops.logical_and(source >= 0, source < size)
            source = ops.clip(source, 0, size - 1)
            shape = [-1, 1, 1, 1]
            shape[axis] = size
            indices = ops.broadcast_to(ops.reshape(source, shape), ops.shape(images))
            mask = ops.cast(ops.reshape(inside, shape), images.dtype)
            images = ops.take_along_axis(images, indices, axis=axis) * mask
        return images

    def _cut_out(self, images):
        covered = None
        for axis in (1, 2):
            size = images.shape[axis]
            length = int(size * CUTOUT_RATIO + 0.5)
            centre = self._integers(ops.shape(images)[0], 0, size - length % 2)
            offset = ops.arange(size, dtype="int32")[None] - centre[:, None] + length // 2
            shape = [-1, 1, 1, 1]
            shape[axis] = size
            inside = ops.reshape(ops.logical_and(offset >= 0, offset < length), shape)
            covered = inside if covered is None else ops.logical_and(covered, inside)
        return images * ops.cast(ops.logical_not(covered), images.dtype)

    def _integers(self, batch, low, high):
        """One integer in [low, high] for each image."""
        return replicas.integers((batch,), low, high + 1, self.seed_generator)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "policy": self.policy, "seed": self.seed}
