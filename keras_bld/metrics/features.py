"""Features of images under a network: what FID, KID, precision and the rest are computed from."""

import dataclasses
import functools
import hashlib

import keras
import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.backend import compile_function
from keras_bld.metrics.arrays import check_features
from keras_bld.metrics.classifier import feature_extractor
from keras_bld.metrics.statistics import StreamingStatistics


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """A feature network with the name under which its results are reported.

    Two numbers can only be compared when they come from the same network, so the name and the
    hash of its weights belong beside every number, and only the standard Inception graph with
    its published weights (`inception_fid`) may be called FID without more.

    Args:
        model: Keras model from images in [0, 1], shape (batch, height, width, channels), to
            features (batch, num_features), or to feature maps, which are then averaged over
            positions. Resizing and value ranges of its own are part of the model.
        name: what it is, e.g. "fashion-mnist-classifier".
        is_standard: whether plain metric names mean this network.
        kernel: matrix (num_features, num_classes) from features to logits, for the inception
            score; `None` where the network has no classes.
        bias: vector (num_classes,), added to the logits; `None` for none.
        weights_sha256: of the weight file; `None` computes a hash of the weights in memory.
        label: what stands beside metrics in tables that have no room for the name.

    Example:
        >>> from keras_bld.metrics import FeatureNetwork, build_classifier
        >>> network = FeatureNetwork.from_classifier(build_classifier((8, 8, 1), 3), "tiny")
        >>> network.metric_name("FID")
        'FID (tiny)'
    """

    model: keras.Model
    name: str
    is_standard: bool = False
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    weights_sha256: str | None = None
    label: str = "domain"

    def __post_init__(self):
        if self.weights_sha256 is None:
            object.__setattr__(self, "weights_sha256", hash_weights(self.model))

    def __getstate__(self):
        # Without the compiled function.
        return {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}

    @classmethod
    def from_classifier(cls, classifier, name):
        """Return the network of a classifier's penultimate layer, with its classes.

        Args:
            classifier: model of `train_classifier`, with layers "features" and "logits".
            name: what it is, e.g. "fashion-mnist-classifier".
        """
        head = classifier.get_layer("logits")
        kernel, bias = (ops.convert_to_numpy(variable) for variable in (head.kernel, head.bias))
        return cls(feature_extractor(classifier), name, kernel=kernel, bias=bias)

    def with_classes(self, features, labels, num_classes, shrinkage=0.3):
        """Return this network with a linear classifier of other classes on its features.

        Linear discriminant analysis: one covariance for all classes, mixed with a multiple of the
        identity. In closed form, so that the same images give the same classifier.

        Args:
            features: of labelled images, (num_samples, num_features).
            labels: integers in [0, num_classes), (num_samples,).
            num_classes: number of classes; one without samples is never found.
            shrinkage: share of the identity, in (0, 1].
        """
        features = check_features("features", features)
        counts = np.bincount(labels, minlength=num_classes)
        sums = np.zeros((num_classes, features.shape[1]))
        np.add.at(sums, labels, features)
        means = sums / np.maximum(counts, 1)[:, None]
        within = features - means[labels]
        covariance = within.T @ within / len(features)
        scale = np.trace(covariance) / len(covariance)
        covariance = (1.0 - shrinkage) * covariance + shrinkage * scale * np.eye(len(covariance))
        kernel = np.linalg.solve(covariance, means.T)
        priors = np.log(np.maximum(counts, 1e-300) / len(features))
        bias = priors - 0.5 * np.sum(means.T * kernel, axis=0)
        return dataclasses.replace(self, kernel=kernel, bias=bias)

    def metric_name(self, metric):
        """Name under which to report a metric: the network is named unless it is standard."""
        return metric if self.is_standard else f"{metric} ({self.name})"

    def class_probabilities(self, features):
        """Class probabilities (num_samples, num_classes) of features, for `inception_score`.

        Raises:
            ValueError: the network has no classes, or the features are not its own.
        """
        if self.kernel is None:
            raise checks.error(
                "network",
                f"{self.name!r}, which has no classes",
                "a network with a `kernel`",
                "use inception_fid() or FeatureNetwork.from_classifier(...)",
            )
        features = check_features("features", features, num_features=self.kernel.shape[0])
        logits = features @ self.kernel.astype("float64")
        if self.bias is not None:
            logits += self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    @functools.cached_property
    def compute(self):
        """The compiled function from a batch of images in [0, 1] to features."""

        def features_of(images):
            features = ops.cast(self.model(images, training=False), "float32")
            if len(features.shape) == 4:
                features = ops.mean(features, axis=(1, 2))
            return features

        return compile_function(features_of, lambda: self.model.variables)


def extract_features(images, network, batch_size=64, preprocess=None):
    """Features of all images, as one array.

    The network runs on batches of one fixed size whatever the sizes that come in, so the result
    does not depend on how the images were batched.

    Args:
        images: array or tensor (num_images, height, width, channels), uint8 or floating in
            [0, 1]; or any iterable of such batches or of tuples that begin with one (generator,
            tf.data, grain, `keras.utils.PyDataset`), which is read once.
        network: `FeatureNetwork`, or a Keras model (compiled anew at each call). A network that
            takes 3 channels gets gray images with the channel repeated.
        batch_size: images in a step.
        preprocess: callable applied to each float32 batch in [0, 1] before the network, e.g. a
            resize; `None` for none. Say in the report what it does: it changes every number.

    Returns:
        float32 array of shape (num_images, num_features).

    Raises:
        ValueError: no images, images of wrong rank, size or values, or a network that does not
            return features or feature maps.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import build_classifier, extract_features, feature_extractor
        >>> network = feature_extractor(build_classifier((8, 8, 1), num_classes=3, width=4))
        >>> extract_features(np.zeros((5, 8, 8, 1)), network, batch_size=2).shape
        (5, 16)
    """
    return np.concatenate(list(_feature_batches(images, network, batch_size, preprocess)))


def feature_statistics(images, network, batch_size=64, preprocess=None):
    """Mean and covariance of the features of all images, in constant memory.

    Args:
        images: as in `extract_features`, like all that follow.
        network: `FeatureNetwork` or Keras model.
        batch_size: images in a step.
        preprocess: callable applied to each batch; `None` for none.

    Returns:
        `StreamingStatistics`, for `frechet_distance`.

    Raises:
        ValueError: as `extract_features`.
    """
    statistics = StreamingStatistics()
    for features in _feature_batches(images, network, batch_size, preprocess):
        statistics.update(features)
    return statistics


def application_module(name, argument="name"):
    """The module of `keras.applications` with a network of this name.

    Args:
        name: class in `keras.applications`.
        argument: how whoever called names it.

    Raises:
        ValueError: unknown name.
    """
    for module in vars(keras.applications).values():
        if hasattr(module, "preprocess_input") and callable(getattr(module, name, None)):
            return module
    raise checks.error(
        argument,
        repr(name),
        "the name of a network in keras.applications",
        "write it as there, for example 'ResNet50' or 'InceptionV3'",
    )


def application_network(name, image_size=224, weights="imagenet"):
    """Return a `keras.applications` network without its classes, pooled to one row per image.

    Images are resized (bilinear, antialiased) to `image_size` and brought to the value range of
    the network's own `preprocess_input`.

    Args:
        name: class in `keras.applications`, e.g. "ResNet50", "VGG16", "InceptionV3".
        image_size: height and width that the network sees.
        weights: "imagenet" (fetched by Keras), a path of a weight file, or `None` for random
            ones.

    Returns:
        A `FeatureNetwork`.

    Raises:
        ValueError: unknown name, or weights that cannot be had.
    """
    module = application_module(name)
    image_size = checks.check_integer("image_size", image_size, 32)
    try:
        backbone = getattr(module, name)(
            include_top=False, weights=weights, input_shape=(image_size, image_size, 3)
        )
    except Exception as exception:
        if weights is None:
            raise
        raise checks.error(
            "weights",
            f"{weights!r}, which could not be loaded ({exception})",
            "weights that can be fetched, or a path of a Keras weight file without the top",
            f"download them on a machine with a network: keras.applications.{name}("
            "include_top=False).save_weights('name.weights.h5'), and pass that path",
        ) from exception
    inputs = keras.Input((None, None, 3), name="images")
    resize = keras.layers.Resizing(image_size, image_size, antialias=True)
    x = module.preprocess_input(resize(inputs) * 255.0)
    model = keras.Model(inputs, backbone(x), name=f"{backbone.name}_features")
    description = f"{name}, {_describe(weights)}, {image_size} pixels"
    return FeatureNetwork(model, description, label=f"{name} features")


def hash_weights(model):
    """sha256 (hex) of a model's weights in order, with their shapes and dtypes."""
    digest = hashlib.sha256()
    for variable in model.variables:
        values = np.ascontiguousarray(ops.convert_to_numpy(ops.cast(variable, "float32")))
        digest.update(f"{variable.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _describe(weights):
    return "random weights" if weights is None else f"weights {weights}"


def _feature_batches(images, network, batch_size, preprocess):
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    if not isinstance(network, FeatureNetwork):
        if not isinstance(network, keras.Model):
            raise checks.error(
                "network",
                repr(type(network)),
                "a FeatureNetwork or a Keras model",
                "use inception_fid(), application_network(...) or a model of your own",
            )
        network = FeatureNetwork(network, network.name)
    network_channels = network.model.inputs[0].shape[-1]
    seen = 0
    for batch in _rebatch(_source(images), batch_size):
        batch = checks.check_images(batch, (None, None, None))
        count = len(batch)
        if batch.shape[-1] == 1 and network_channels == 3:
            batch = np.repeat(batch, 3, axis=-1)
        if preprocess is not None:
            batch = np.asarray(preprocess(batch), dtype="float32")
        # The last batch is filled up with copies, so that one shape is compiled.
        features = network.compute(np.resize(batch, (batch_size, *batch.shape[1:])))
        features = ops.convert_to_numpy(features)[:count]
        if features.ndim != 2:
            raise checks.error(
                "network",
                f"a network that returns shape {features.shape}",
                "features (batch, num_features) or maps (batch, height, width, channels)",
                "end the network with pooling or flattening",
            )
        seen += count
        yield features
    if seen == 0:
        raise checks.error(
            "images", "no images", "at least one", "start the generator or data set anew"
        )


def _source(images):
    """Yield the batches that the caller gave, as NumPy arrays."""
    if ops.is_tensor(images) or hasattr(images, "__array__"):
        yield _to_array(images)
        return
    is_py_dataset = isinstance(images, keras.utils.PyDataset)  # it has no end when iterated
    for batch in map(images.__getitem__, range(len(images))) if is_py_dataset else images:
        yield _to_array(batch[0] if isinstance(batch, tuple | list) else batch)


def _to_array(batch):
    batch = ops.convert_to_numpy(batch) if ops.is_tensor(batch) else np.asarray(batch)
    checks.check_batch_shape("images", batch, (None, None, None))
    return batch


def _rebatch(source, batch_size):
    """Regroup batches of any sizes into batches of `batch_size`; the last may be smaller."""
    waiting, count = [], 0
    for batch in source:
        while len(batch):
            part, batch = batch[: batch_size - count], batch[batch_size - count :]
            waiting.append(part)
            count += len(part)
            if count == batch_size:
                yield np.concatenate(waiting)
                waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting)
