"""Perceptual distance: how different two images look to a frozen network."""

import keras
from keras import ops

from keras_bld.autoencoder import lpips
from keras_bld.base import checks
from keras_bld.metrics import efficientnet_lite_maps

NORM_EPSILON = 1e-10
# Two pixels of the coarsest map that counts in `efficientnet_lite`.
_SMALLEST_FOR_MAPS = 32


@keras.saving.register_keras_serializable("keras_bld")
class PerceptualDistance(keras.layers.Layer):
    """Distance of two image batches in the feature maps of a frozen network.

    At every position of every feature map the channels are scaled to length one; the squared
    differences are summed over channels (weighted by learned non-negative heads in LPIPS), averaged
    over positions, and summed over the maps.

    Source: Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual
    metric", Eq. 1. `PerceptualDistance.lpips()` is their LPIPS with VGG16 (version 0.1);
    `PerceptualDistance.efficientnet_lite()` is the same form without learned heads, on a network
    whose weights come with a package: it works offline and is no LPIPS.

    Args:
        feature_model: Keras model that maps images in [0, 1] to one feature map or a nest of
            them, each (batch, height, width, channels). It is frozen (`trainable = False`) and
            always called in inference mode. Grey images are repeated to three channels for a
            model that asks for three.
        linear_heads: whether there is a weight for each channel of each map (the model's `outputs`
            must then be known, as in a functional model). They start at 1 and never train.
        smallest_size: images with a shorter side of fewer pixels are enlarged (bilinear) by the
            smallest whole factor that reaches it; 1 enlarges none.

    Call arguments:
        images, others: floating point in [0, 1], (batch, height, width, channels).

    Output shape: (batch,), float32, >= 0.

    Example:
        >>> import keras
        >>> inputs = keras.Input((8, 8, 3))
        >>> first = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
        >>> second = keras.layers.Conv2D(4, 3, activation="relu")(first)
        >>> distance = PerceptualDistance(keras.Model(inputs, [first, second]))
        >>> distance(keras.ops.zeros((2, 8, 8, 3)), keras.ops.ones((2, 8, 8, 3))).shape[0]
        2
    """

    def __init__(self, feature_model, linear_heads=False, smallest_size=1, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if not isinstance(feature_model, keras.layers.Layer):
            raise checks.error(
                "feature_model",
                repr(feature_model),
                "a Keras model or layer that returns feature maps",
                "pass e.g. a keras.Model with several outputs, or call PerceptualDistance.lpips()",
                kind=TypeError,
            )
        self.feature_model = feature_model
        self.linear_heads = bool(linear_heads)
        self.smallest_size = checks.check_integer("smallest_size", smallest_size, 1)
        self.heads = []
        if self.linear_heads:
            for index, output in enumerate(feature_model.outputs):
                head = self.add_weight(
                    name=f"head_{index}",
                    shape=(output.shape[-1],),
                    initializer="ones",
                    dtype="float32",
                    trainable=False,
                )
                self.heads.append(head)
        self._freeze()
        self.built = True

    @property
    def trainable(self):
        """False: the distance never learns, also where a model around it is set trainable."""
        return False

    @trainable.setter
    def trainable(self, value):
        self._freeze()

    def _freeze(self):
        # Not `self.trainable = False`: TensorFlow skips assignments that change nothing.
        keras.layers.Layer.trainable.fset(self, False)

    @classmethod
    def lpips(cls, vgg_weights=None, heads=None):
        """LPIPS with VGG16 and the published linear heads.

        Images must have at least 16 pixels on each side.

        Args:
            vgg_weights: path of torchvision's VGG16 weights (`vgg16-397923af.pth`, 528 MB). None
                downloads it once into Keras's cache and checks its sha256.
            heads: path of the published heads (`vgg.pth` of version 0.1, 7 KB). None as above.

        Raises:
            OSError: a file cannot be had. The message names the alternatives.
            ValueError: a file is not what it should be.
        """
        vgg = lpips.read_weights("vgg_weights", vgg_weights)
        head_weights = lpips.read_weights("heads", heads)
        feature_model = lpips.build_vgg16()
        lpips.load_vgg16(feature_model, vgg)
        distance = cls(feature_model, linear_heads=True, name="lpips")
        for index, head in enumerate(distance.heads):
            shape = (1, *head.shape, 1, 1)
            name = f"lin{index}.model.1.weight"
            head.assign(lpips.take(head_weights, name, shape, "heads").reshape(-1))
        return distance

    @classmethod
    def efficientnet_lite(cls, strides=(2, 4, 8, 16)):
        """Distance in feature maps of EfficientNet-Lite0, whose weights a package brings along.

        Unlike for LPIPS nothing is fetched, and it takes a 17th of the time (64 x 64). Images below
        32 pixels are enlarged to at least 32, grey ones are repeated to RGB.

        Args:
            strides: which maps count: pixels of the image for each pixel of the map, out of 2, 4,
                8, 16, 32.

        Raises:
            ImportError: the package with the weights is not installed (the extra `perceptual`).
            ValueError: a stride that the network does not have.
        """
        maps = efficientnet_lite_maps(strides)
        return cls(maps, smallest_size=_SMALLEST_FOR_MAPS, name="efficientnet_lite")

    def call(self, images, others):
        """Distance of each image to its partner."""
        total = 0.0
        pairs = zip(self._features(images), self._features(others), strict=True)
        for index, (first, second) in enumerate(pairs):
            difference = ops.square(_to_unit_length(first) - _to_unit_length(second))
            if self.linear_heads:
                difference = difference * self.heads[index]
            total = total + ops.mean(ops.sum(difference, axis=-1), axis=(1, 2))
        return total

    def _features(self, images):
        wanted = getattr(self.feature_model, "input_shape", None) or (None,)
        if images.shape[-1] == 1 and wanted[-1] == 3:
            images = ops.repeat(images, 3, axis=-1)
        if self.smallest_size > 1:
            height, width = images.shape[1:3]
            factor = -(-self.smallest_size // min(height, width))
            if factor > 1:
                size = (height * factor, width * factor)
                images = ops.image.resize(images, size, data_format="channels_last")
        return keras.tree.flatten(self.feature_model(images, training=False))

    def compute_output_shape(self, input_shape):
        """(batch,)."""
        return (input_shape[0],)

    def get_config(self):
        """Constructor arguments; the feature model as a serialised Keras object."""
        return {
            **super().get_config(),
            "feature_model": keras.saving.serialize_keras_object(self.feature_model),
            "linear_heads": self.linear_heads,
            "smallest_size": self.smallest_size,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Inverse of `get_config`."""
        config = dict(config)
        config["feature_model"] = keras.saving.deserialize_keras_object(
            config["feature_model"], custom_objects=custom_objects
        )
        return cls(**config)


def perceptual_distance(name):
    """The `PerceptualDistance` with a name.

    Args:
        name: "lpips", "efficientnet_lite", or "none" for None.

    Raises:
        ValueError: another name; OSError, ImportError: its weights are not there.
    """
    kinds = {
        "lpips": PerceptualDistance.lpips,
        "efficientnet_lite": PerceptualDistance.efficientnet_lite,
        "none": lambda: None,
    }
    checks.check_choice("perceptual", name, tuple(kinds))
    return kinds[name]()


def _to_unit_length(features):
    """Channels scaled to length one; the gradient stays finite where all of them are zero."""
    features = ops.cast(features, "float32")
    squares = ops.sum(ops.square(features), axis=-1, keepdims=True)
    return features / (ops.sqrt(squares + NORM_EPSILON**2) + NORM_EPSILON)
