"""Images with everything that scores compare: generated ones, and real ones to hold against."""

import dataclasses

import numpy as np

from keras_bld.base.bulk import run_here
from keras_bld.base.images import to_uint8
from keras_bld.data import random_subset, unpack_codes
from keras_bld.diffusion.generation_store import PlannedCodes
from keras_bld.diffusion.sampling import plan_sampling
from keras_bld.evaluation import measures
from keras_bld.evaluation.bulk import KnownImages, MadeImages, batch_size_for
from keras_bld.evaluation.image_arrays import empty_images, image_pieces, to_arrays
from keras_bld.evaluation.memorisation import comparable_pixels
from keras_bld.metrics import extract_features
from keras_bld.text import LabelConditions


@dataclasses.dataclass
class ImageSet:
    """One set of images with everything that metrics compare."""

    images: np.ndarray | None = None  # uint8
    labels: np.ndarray | None = None
    features: np.ndarray | None = None
    codes: np.ndarray | None = None  # packed
    # For each label the class of the feature network; None where that tells other classes.
    classes: np.ndarray | None = None

    def spaces(self):
        """The images as `memorisation` compares them."""
        spaces = {"pixels": comparable_pixels(self.images), "codes": self.codes}
        return spaces if self.features is None else {**spaces, "features": self.features}


def score_samples(
    model, network, num_images, sampling, seed, real, known, conditions=None, engine=run_here
):
    """Generate images, and measure them against real ones and the classes they were asked for.

    Args:
        model: a `BinaryLatentDiffusion` with its autoencoder.
        network: the `FeatureNetwork` of all features; None makes images and measures nothing.
        num_images: how many; of a conditional model, each class in the share that it has among
            the training images: the classes of a perfect model are then those of its floor.
        sampling: `Sampling`; None takes the model's own.
        seed: of the images and of the measurements.
        real: `ImageSet` of held-out images (`real_features`).
        known: the same of training images.
        conditions: `LabelConditions`; needed for a model that is conditioned on text, whose
            images are asked for with wordings that it has not seen.
        engine: of `open_engine`; where images are made and their features found.

    Returns:
        (metrics, made): `distribution_scores`, with `recognition_scores` where the network
        tells the classes; and the `ImageSet` of the generated images.
    """
    conditions = conditions or LabelConditions(model)
    labels = asked_labels(conditions, num_images, known.labels, seed)
    asked = conditions.asked(labels, unseen=True)
    images, codes, features = _generate(model, num_images, sampling, seed, asked, network, engine)
    if network is None:
        return {}, ImageSet(images, labels, None, codes)
    made = ImageSet(images, labels, features, codes, known.classes)
    return _scores(made, network, real, known, seed), made


def score_without_condition(
    model, network, num_images, sampling, seed, known, conditions, engine=run_here
):
    """How often images made without their condition are what they would have been asked to be.

    Args:
        model, network, num_images, sampling, seed, known, conditions, engine: as in
            `score_samples`; the network tells the classes of `known`.

    Returns:
        `recognition_scores`, under the name recognised_without_condition.
    """
    asked = {"drop_condition": True}
    *_, features = _generate(model, num_images, sampling, seed, asked, network, engine)
    labels = asked_labels(conditions, num_images, known.labels, seed)
    classes = known.classes[labels]
    (found,) = measures.recognition_scores(network, features, classes).values()
    note = f"chance is {1 / network.kernel.shape[1]:.2g}"
    return {"recognised_without_condition": {**found, "note": note}}


def score_retrieval(
    model, network, sampling, seed, real, conditions, class_groups=None, engine=run_here
):
    """How often an image made for a held-out image's text is nearest to that image.

    Args:
        model, network, sampling, seed, conditions, engine: as in `score_samples`; the model takes
            text.
        real: `ImageSet` of held-out images.
        class_groups: for each label the name of its group, or None.

    Returns:
        `measures.retrieval_scores`.
    """
    asked = conditions.asked(real.labels, unseen=True)
    *_, features = _generate(model, len(real.labels), sampling, seed, asked, network, engine)
    groups = None if class_groups is None else [class_groups[label] for label in real.labels]
    return measures.retrieval_scores(features, real.features, real.labels, groups)


def score_reconstructions(autoencoder, network, source, num_images, seed, real, known):
    """The same scores for reconstructed images: what a perfect prior on the codes would reach.

    Args:
        autoencoder: any stage 1.
        source: real images and their classes, of which `real_set` would take these.
        network, num_images, seed, real, known: as in `score_samples`.
    """
    images, labels = to_arrays(random_subset(source, num_images, seed))
    batch_size = batch_size_for(source.image_shape)
    images = to_uint8(autoencoder.reconstruct(images, batch_size=batch_size))
    features = extract_features(images, network, batch_size)
    made = ImageSet(images, labels, features, None, known.classes)
    return _scores(made, network, real, known, seed, labels_are_given=False)


def _scores(made, network, real, known, seed, labels_are_given=True):
    metrics = measures.distribution_scores(
        made.features,
        real.features,
        known.features,
        network,
        seed,
        strata=made.labels if labels_are_given else None,
    )
    if made.classes is not None:
        classes = made.classes[made.labels]
        metrics |= measures.recognition_scores(network, made.features, classes)
    return metrics


def real_set(source, autoencoder, network, num_images, seed, engine=run_here):
    """The `ImageSet` of at most `num_images` images of a source, drawn by a seed."""
    drawn = random_subset(source, num_images, seed)
    images = empty_images(len(drawn), source.image_shape)
    batches = _known_images(drawn, autoencoder, network, engine)
    labels, codes, features = _collected(batches, images)
    classes = measures.network_classes(network, source)
    return ImageSet(images, labels, features, codes, classes)


def real_features(source, network, num_images, seed, engine=run_here):
    """The same without images and codes."""
    drawn = random_subset(source, num_images, seed)
    labels, _, features = _collected(_known_images(drawn, None, network, engine))
    classes = measures.network_classes(network, source)
    return ImageSet(labels=labels, features=features, classes=classes)


def _known_images(source, autoencoder, network, engine):
    batch_size = batch_size_for(source.image_shape)
    work = KnownImages(source, autoencoder, network)
    return engine(work, image_pieces(source, batch_size), batch_size)


def _collected(batches, images=None):
    """What batches hold beside their images, joined; the images go into an array, if there is one.

    Args:
        batches: iterable of (images, ...): arrays, or None.
        images: array for all of them, or None.
    """
    first, parts = 0, []
    for made, *rest in batches:
        if images is not None:
            images[first : first + len(made)] = made
            first += len(made)
        parts.append(rest)
    columns = zip(*parts, strict=True)
    return [None if column[0] is None else np.concatenate(column) for column in columns]


def reconstruct(real, autoencoder, network):
    """Decode the codes of real images.

    Args:
        real: their `ImageSet`.
        autoencoder: the stage 1 that made the codes.
        network: `FeatureNetwork`, or None.

    Returns:
        (made, similarity): the `ImageSet` of the reconstructions, and the `image_similarity` of
        each pair.
    """
    batch_size = batch_size_for(autoencoder.image_shape)
    images = empty_images(len(real.images), autoencoder.image_shape)
    similarity, features = {}, []
    for first in range(0, len(images), batch_size):
        rows = slice(first, first + batch_size)
        made = autoencoder.decode(unpack_codes(real.codes[rows], autoencoder.code_shape[-1]))
        images[rows] = to_uint8(made)
        for name, values in measures.image_similarity(real.images[rows], made).items():
            similarity.setdefault(name, []).extend(values)
        if network is not None:
            features.append(extract_features(made, network, batch_size))
    features = np.concatenate(features) if features else None
    return ImageSet(images, real.labels, features, real.codes, real.classes), similarity


def training_spaces(source, autoencoder, network, engine=run_here):
    """All images of a source as `memorisation` compares them, some at a time."""
    for images, labels, codes, features in _known_images(source, autoencoder, network, engine):
        yield ImageSet(images, labels, features, codes).spaces()


def asked_labels(conditions, num_images, known=None, seed=0):
    """Label of each generated image; None without classes.

    Args:
        conditions: `LabelConditions`.
        num_images: how many.
        known: labels of training images; each class is asked for in the share that it has there,
            as nearly as whole numbers allow. None asks for all equally often.
        seed: decides between classes that an image more or less would suit equally well.

    Returns:
        int64 (num_images,), the classes taking turns; the first images of any number have about
        the same shares.
    """
    num_classes = conditions.num_classes
    if num_classes is None:
        return None
    counts = np.ones(num_classes) if known is None else np.bincount(known, minlength=num_classes)
    wanted = num_images * counts / counts.sum()
    asked = wanted.astype(int)
    rest = wanted - asked
    order = np.lexsort((np.random.default_rng(seed).random(num_classes), -rest.round(9)))
    asked[order[: num_images - asked.sum()]] += 1
    labels = np.repeat(np.arange(num_classes), asked)
    turns = np.concatenate([np.arange(0.5, count) / count for count in asked if count])
    return labels[np.argsort(turns, kind="stable")]


def _generate(model, num_images, sampling, seed, asked, network, engine):
    """(images as uint8, packed codes, features); in constant memory beyond these."""
    batch_size = batch_size_for(model.autoencoder.image_shape)
    plan = plan_sampling(
        model, num_images, **asked, sampling=sampling, seed=seed, batch_size=batch_size
    )
    images = empty_images(num_images, model.autoencoder.image_shape)
    work = MadeImages(PlannedCodes(model, plan), network)
    packed, features = _collected(engine(work, [(0, num_images)], batch_size), images)
    return images, packed, features
