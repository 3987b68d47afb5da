"""Random changes of colour, for training alone."""

import dataclasses

import numpy as np

from keras_bld.base import checks
from keras_bld.base.optional import import_optional


@dataclasses.dataclass(frozen=True)
class ColorJitter:
    """Random brightness, contrast, saturation and hue of each image, by keras_cv's layers.

    The layers' own random numbers do not follow their seed; here the caller's generator draws them,
    so that a batch can be had again. Runs on the processor through TensorFlow, whatever Keras's
    backend is. Gray images (one channel) have no saturation and no hue: they keep theirs.

    Args:
        brightness: largest shift, as a share of the range of values, in [0, 1].
        contrast: largest relative change of the distance to the image's mean, in [0, 1].
        saturation: as `contrast`, of the distance to gray, in [0, 1).
        hue: largest turn, in [0, 0.5]; 0.5 reaches every hue.

    Call arguments:
        images: uint8 (batch, height, width, channels), with 1 or 3 channels.
        generator: `numpy.random.Generator`.

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: an argument out of range.
        ImportError: keras_cv is not installed (extra `recipes`).

    Example:
        >>> import numpy as np
        >>> images = np.full((2, 8, 8, 3), 100, "uint8")
        >>> ColorJitter()(images, np.random.default_rng(0)).shape  # doctest: +SKIP
        (2, 8, 8, 3)
    """

    brightness: float = 0.1
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.02

    def __post_init__(self):
        for name, most in (("brightness", 1.0), ("contrast", 1.0), ("hue", 0.5)):
            checks.check_number(name, getattr(self, name), 0.0, maximum=most)
        checks.check_number("saturation", self.saturation, 0.0, maximum=0.99)
        layers = import_optional("keras_cv", "recipes").layers
        unit = (0.0, 1.0)  # the range of values
        changes = {
            "brightness": layers.RandomBrightness(self.brightness, unit),
            "contrast": layers.RandomContrast(unit, self.contrast),
            "saturation": layers.RandomSaturation(self.saturation / 2),
            "hue": layers.RandomHue(self.hue, unit),
        }
        object.__setattr__(self, "_changes", changes)

    def __call__(self, images, generator):
        """Return the changed images."""
        import tensorflow as tf

        count = len(images)
        as_image = (count, 1, 1, 1)
        # What the layers call transformations; a saturation of x multiplies by x / (1 - x).
        factors = 1.0 + generator.uniform(-self.saturation, self.saturation, count)
        drawn = {
            "brightness": generator.uniform(-self.brightness, self.brightness, as_image),
            "contrast": 1.0 + generator.uniform(-self.contrast, self.contrast, as_image),
            "saturation": factors / (1.0 + factors),
            "hue": generator.uniform(-self.hue, self.hue, count),
        }
        with tf.device("CPU"):
            changed = tf.constant(images.astype("float32") / 255.0)
            for name, layer in self._changes.items():
                if images.shape[-1] == 3 or name in ("brightness", "contrast"):
                    transformations = tf.constant(drawn[name].astype("float32"))
                    changed = layer.augment_images(changed, transformations)
        return np.round(np.clip(changed.numpy(), 0.0, 1.0) * 255.0).astype("uint8")
