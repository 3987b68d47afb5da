"""A small image classifier: the classification accuracy score, and a feature network of our own.

The classification accuracy score (Ravuri and Vinyals, 2019; the paper's CAS) trains a classifier
on generated images alone and tests it on real ones: it is high only where the generated images
of every class are both right and varied. The paper uses a ResNet-50; the small network here does
the job for small images in seconds on a CPU.
"""

import itertools
import math

import keras
import numpy as np

from keras_bld.base import checks
from keras_bld.base.fitting.resuming import CheckpointPolicy, fit_resumably
from keras_bld.base.optional import import_optional
from keras_bld.metrics.arrays import check_labels

FEATURE_LAYER = "features"
_BATCH_SIZE = 64
_LEARNING_RATE = 2e-3


def build_classifier(image_shape, num_classes, width=32, backbone="small", seed=0):
    """Return an untrained classifier of images in [0, 1].

    `backbone="small"`: a 3x3 convolution, then stages of (convolution, batch normalisation,
    ReLU), at least two, that halve the size until at most 4 pixels are left and double the
    channels up to 4 * width, then global average pooling: 4 * width features. Images of 32
    pixels and more start at half size.
    `backbone="resnet50"`: keras_cv's ResNet-50, as in the paper, without pretrained weights.

    Args:
        image_shape: (height, width, channels), at least 4 x 4 pixels.
        num_classes: number of classes.
        width: channels of the small network's first stage.
        backbone: "small" or "resnet50" (which needs keras_cv, extra `recipes`).
        seed: of the small network's initial weights.

    Returns:
        A `keras.Model` from images (batch, height, width, channels) to logits
        (batch, num_classes). Its layer named "features" is the penultimate one.

    Raises:
        ValueError: wrong shape, fewer than 2 classes, or an unknown backbone.

    Example:
        >>> from keras_bld.metrics import build_classifier
        >>> build_classifier((16, 16, 1), num_classes=10, width=8).output_shape
        (None, 10)
    """
    num_classes = checks.check_integer("num_classes", num_classes, 2)
    width = checks.check_integer("width", width, 1)
    checks.check_choice("backbone", backbone, ("small", "resnet50"))
    if len(image_shape) != 3 or min(image_shape[:2]) < 4:
        raise checks.error(
            "image_shape",
            repr(tuple(image_shape)),
            "(height, width, channels) of at least 4 x 4 pixels",
            "pass the shape of one image",
        )
    inputs = keras.Input(image_shape, name="images")
    if backbone == "resnet50":
        x = _resnet50(image_shape)(inputs)
    else:
        x = _small_network(inputs, width, seed)
    features = keras.layers.GlobalAveragePooling2D(name=FEATURE_LAYER)(x)
    initializer = keras.initializers.GlorotUniform(seed=seed)
    logits = keras.layers.Dense(num_classes, kernel_initializer=initializer, name="logits")
    return keras.Model(inputs, logits(features), name=f"{backbone}_classifier")


def train_classifier(
    images,
    labels,
    num_classes,
    epochs=10,
    seed=0,
    width=32,
    backbone="small",
    augment=True,
    batch_size=_BATCH_SIZE,
    learning_rate=_LEARNING_RATE,
    verbose=0,
    num_steps=None,
    folder=None,
):
    """Train a classifier: Adam, cosine decay to zero, the same batches for the same seed.

    Nothing of the global random state is read or changed. On one machine and backend, the same
    arguments give the same classifier (up to the order of sums in threaded kernels).

    Args:
        images: uint8 or floating in [0, 1], shape (num_images, height, width, channels).
        labels: int array of shape (num_images,), 0 .. num_classes - 1.
        num_classes: number of classes.
        epochs: passes over the images; the last batch of a pass is filled from its beginning.
        seed: of the initial weights, the order of the images and the augmentation.
        width: channels of the small network's first stage.
        backbone: "small" or "resnet50", see `build_classifier`.
        augment: shift each image by -1, 0 or 1 pixel in both directions, edges repeated.
        batch_size: images in a step.
        learning_rate: at the start.
        verbose: as in `keras.Model.fit`.
        num_steps: steps in all, instead of `epochs`; a last pass may be broken off.
        folder: gets checkpoints, from which the same call goes on where it was interrupted; None
            keeps none. It is for this training alone, and yours to remove.

    Returns:
        The trained `keras.Model` (images in [0, 1] to logits).

    Raises:
        ValueError: images or labels out of range, or of different numbers.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import train_classifier
        >>> images = np.zeros((32, 8, 8, 1), "float32")
        >>> images[16:] = 1.0
        >>> labels = np.arange(32) // 16
        >>> model = train_classifier(images, labels, num_classes=2, epochs=24, width=4)
        >>> model.predict(images, verbose=0).argmax(axis=1).tolist() == labels.tolist()
        True
    """
    images = np.asarray(images)
    labels = check_labels(labels, len(images), num_classes)
    checks.check_images(images[:1], (None, None, None))
    epochs = checks.check_integer("epochs", epochs, 1)
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    model = build_classifier(images.shape[1:], num_classes, width, backbone, seed)
    batch_size = min(batch_size, len(images))
    if num_steps is None:
        num_steps = epochs * math.ceil(len(images) / batch_size)
    num_steps = checks.check_integer("num_steps", num_steps, 1)
    batches = _Batches(images, labels, batch_size, augment, seed, num_steps)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    # Built here, not in the first step, which TensorFlow would then trace twice.
    model.optimizer.build(model.trainable_variables)
    if folder is None:
        model.fit(batches, shuffle=False, verbose=verbose)
        return model
    fit_resumably(
        model,
        batches.endless,
        folder,
        num_steps,
        batches.in_a_pass,
        CheckpointPolicy(keep=1),
        verbose=verbose,
    )
    return model


def feature_extractor(classifier):
    """Return the part of a classifier that ends at its layer "features".

    With a classifier trained on labelled images of a domain this is a feature network for that
    domain. Distances on such features must be reported under that name, never as plain FID.

    Args:
        classifier: a model of `build_classifier` or `train_classifier`, trained or loaded.

    Returns:
        A `keras.Model` from images in [0, 1] to features of shape (batch, num_features); it
        shares the classifier's weights.

    Raises:
        ValueError: the model has no layer named "features".

    Example:
        >>> from keras_bld.metrics import build_classifier, feature_extractor
        >>> feature_extractor(build_classifier((16, 16, 1), 10, width=8)).output_shape
        (None, 32)
    """
    names = [layer.name for layer in classifier.layers]
    if FEATURE_LAYER not in names:
        raise checks.error(
            "classifier",
            f"a model with layers {names}",
            f"a model with a layer named {FEATURE_LAYER!r}",
            "pass a model of `build_classifier`, or make the sub-model with keras.Model yourself",
        )
    layer = classifier.get_layer(FEATURE_LAYER)
    return keras.Model(classifier.input, layer.output, name=f"{classifier.name}_features")


def classification_accuracy_score(
    train_images,
    train_labels,
    test_images,
    test_labels,
    num_classes,
    epochs=10,
    seed=0,
    **options,
):
    """Train on (generated) images, test on real ones: top-1 and top-5 accuracy.

    Args:
        train_images: uint8 or floating in [0, 1], (num_images, height, width, channels).
        train_labels: int array of shape (num_images,), the labels they were generated for.
        test_images: real images that no model has seen, of the same size.
        test_labels: int array of shape (num_test_images,).
        num_classes: number of classes.
        epochs: passes over the training images.
        seed: of the classifier's training; report several to show the spread.
        **options: further arguments of `train_classifier` (width, backbone, augment, ...).

    Returns:
        {"top_1": accuracy, "top_5": accuracy}, floats in [0, 1].

    Raises:
        ValueError: images or labels out of range, or of different shapes or numbers.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import classification_accuracy_score
        >>> images = np.zeros((32, 8, 8, 1), "float32")
        >>> images[16:] = 1.0
        >>> labels = np.arange(32) // 16
        >>> classification_accuracy_score(images, labels, images, labels, 2, epochs=24, width=4)
        {'top_1': 1.0, 'top_5': 1.0}
    """
    test_images = np.asarray(test_images)
    test_labels = check_labels(test_labels, len(test_images), num_classes, "test_labels")
    image_shape = np.shape(train_images)[1:]
    checks.check_batch_shape("test_images", test_images, image_shape)
    classifier = train_classifier(
        train_images, train_labels, num_classes, epochs=epochs, seed=seed, **options
    )
    logits = _predict(classifier, test_images)
    # Rank of the true class: how many classes have a larger logit.
    true_logits = np.take_along_axis(logits, test_labels[:, None], axis=1)
    rank = np.sum(logits > true_logits, axis=1)
    return {"top_1": float(np.mean(rank < 1)), "top_5": float(np.mean(rank < 5))}


class _Batches(keras.utils.PyDataset):
    """Shuffled, optionally shifted batches of one fixed size, pass after pass, by (seed, pass)."""

    def __init__(self, images, labels, batch_size, augment, seed, num_steps):
        super().__init__()
        self._images, self._labels = images, labels
        self._batch_size, self._augment, self._seed = batch_size, augment, seed
        self._num_steps = num_steps
        self.in_a_pass = math.ceil(len(images) / batch_size)
        self._pass = None

    def __len__(self):
        return self._num_steps

    def endless(self, start):
        """Generator of the batches from number `start` on."""
        return (self[number] for number in itertools.count(start))

    def _draw_pass(self, number):
        if number == self._pass:
            return
        self._pass = number
        generator = np.random.default_rng([self._seed, number])
        order = generator.permutation(len(self._images))
        # Every batch has one size: nothing is compiled twice, and no image is left out.
        self._order = np.resize(order, self.in_a_pass * self._batch_size)
        self._shifts = generator.integers(-1, 2, size=(len(self._order), 2))

    def __getitem__(self, index):
        number, index = divmod(index, self.in_a_pass)
        self._draw_pass(number)
        places = slice(index * self._batch_size, (index + 1) * self._batch_size)
        chosen = self._order[places]
        images = checks.check_images(self._images[chosen], (None, None, None))
        if self._augment:
            images = _shift(images, self._shifts[places])
        return images, self._labels[chosen]


def _shift(images, shifts):
    """Move each image by its (rows, columns) of -1, 0 or 1; edges are repeated."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = np.arange(height)[None, :] + 1 - shifts[:, :1]
    columns = np.arange(width)[None, :] + 1 - shifts[:, 1:]
    batch = np.arange(len(images))[:, None, None]
    return padded[batch, rows[:, :, None], columns[:, None, :]]


def _small_network(inputs, width, seed):
    def stage(x, index, strides):
        channels = min(2**index, 4) * width
        initializer = keras.initializers.HeNormal(seed=seed + index)
        x = keras.layers.Conv2D(
            channels,
            3,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer,
        )(x)
        # A run has some hundred steps: the default momentum of 0.99 would not settle.
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        return keras.layers.ReLU()(x)

    large = min(inputs.shape[1:3]) >= 32
    x = stage(inputs, 0, strides=2 if large else 1)
    index = 1
    while max(x.shape[1:3]) > 4 or index < 3:
        if max(x.shape[1:3]) > 4:
            x = keras.layers.MaxPooling2D(2, padding="same")(x)
        x = stage(x, index, strides=1)
        index += 1
    return x


def _resnet50(image_shape):
    models = import_optional("keras_cv.models", "recipes")
    # The preset of this name would fetch these numbers from the network.
    return models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[3, 4, 6, 3],
        stackwise_strides=[1, 2, 2, 2],
        block_type="block",
        include_rescaling=False,
        input_shape=tuple(image_shape),
    )


def _predict(model, images, batch_size=256):
    """Logits of all images as NumPy; only one batch is converted to float32 at a time."""
    logits = []
    for start in range(0, len(images), batch_size):
        batch = checks.check_images(images[start : start + batch_size], (None, None, None))
        missing = min(batch_size, len(images)) - len(batch)
        padded = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
        logits.append(model.predict_on_batch(padded)[: len(batch)])
    return np.concatenate(logits)
