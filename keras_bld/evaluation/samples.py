"""Images with everything that scores compare: generated ones, and real ones to hold against."""

import dataclasses

import numpy as np

from keras_bld.base.batching import comfortable_batch_size
from keras_bld.base.images import to_uint8
from keras_bld.data import pack_codes, packed_shape, random_subset
from keras_bld.diffusion.sampling import SamplingOptions, plan_sampling
from keras_bld.evaluation import measures
from keras_bld.evaluation.image_arrays import empty_images, to_arrays
from keras_bld.evaluation.memorisation import comparable_pixels
from keras_bld.metrics import extract_features
from keras_bld.text import LabelConditions

_LARGEST_BATCH = 64


@dataclasses.dataclass
class ImageSet:
    """One set of images with everything that metrics compare."""

    images: np.ndarray  # uint8
    labels: np.ndarray | None
    features: np.ndarray
    codes: np.ndarray  # packed

    def spaces(self):
        """The images as `memorisation` compares them."""
        return {
            "pixels": comparable_pixels(self.images),
            "features": self.features,
            "codes": self.codes,
        }


def score_samples(model, network, num_images, sampler, real, known, conditions=None):
    """Generate images, and measure them against real ones and the classes they were asked for.

    Args:
        model: a `BinaryLatentDiffusion` with its autoencoder.
        network: the `FeatureNetwork` of all features.
        num_images: how many; of a conditional model, all classes in turn.
        sampler: arguments of `generate`; its `seed` is that of the measurements, too.
        real: features of held-out images.
        known: features of training images.
        conditions: `LabelConditions`; needed for a model that is conditioned on text, whose
            images are asked for with wordings that it has not seen.

    Returns:
        (metrics, made): `distribution_scores`, with `recognition_scores` where the network
        tells the classes; and the `ImageSet` of the generated images.
    """
    conditions = conditions or LabelConditions(model)
    labels = asked_labels(conditions, num_images)
    images, codes = _generate(model, num_images, sampler, conditions.asked(labels, unseen=True))
    features = extract_features(images, network, batch_size_for(model.autoencoder.image_shape))
    num_classes, seed = conditions.num_classes, sampler["seed"]
    metrics = _scores(features, labels, num_classes, network, real, known, seed)
    return metrics, ImageSet(images, labels, features, codes)


def score_without_condition(model, network, num_images, sampler, conditions):
    """How often images made without their condition are what they would have been asked to be.

    Args:
        model, network, num_images, sampler, conditions: as in `score_samples`.

    Returns:
        `recognition_scores`, under the name recognised_without_condition.
    """
    sampler = {**sampler, "guidance_scale": 0.0}
    images, _ = _generate(model, num_images, sampler, {"drop_condition": True})
    features = extract_features(images, network, batch_size_for(model.autoencoder.image_shape))
    labels = asked_labels(conditions, num_images)
    (found,) = measures.recognition_scores(network, features, labels).values()
    note = f"chance is {1 / conditions.num_classes:.2g}"
    return {"recognised_without_condition": {**found, "note": note}}


def score_reconstructions(autoencoder, network, source, num_images, seed, real, known):
    """The same scores for reconstructed images: what a perfect prior on the codes would reach.

    Args:
        autoencoder: any stage 1.
        source: real images and their classes, of which `real_set` would take these.
        network, num_images, seed, real, known: as in `score_samples`.
    """
    images, labels = to_arrays(_limited(source, num_images, seed))
    batch_size = batch_size_for(source.image_shape)
    images = to_uint8(autoencoder.reconstruct(images, batch_size=batch_size))
    features = extract_features(images, network, batch_size)
    return _scores(features, labels, source.num_classes, network, real, known, seed)


def _scores(features, labels, num_classes, network, real, known, seed):
    metrics = measures.distribution_scores(features, real, known, network, seed)
    if measures.tells_classes(network, num_classes):
        metrics |= measures.recognition_scores(network, features, labels)
    return metrics


def real_set(source, autoencoder, network, num_images, seed):
    """The `ImageSet` of at most `num_images` images of a source, drawn by a seed."""
    images, labels = to_arrays(_limited(source, num_images, seed))
    batch_size = batch_size_for(source.image_shape)
    codes = np.concatenate(
        [
            pack_codes(autoencoder.encode(images[first : first + batch_size]))
            for first in range(0, len(images), batch_size)
        ]
    )
    return ImageSet(images, labels, extract_features(images, network, batch_size), codes)


def real_features(source, network, num_images, seed):
    """The features alone of what `real_set` takes."""
    images, _ = to_arrays(_limited(source, num_images, seed))
    return extract_features(images, network, batch_size_for(source.image_shape))


def batch_size_for(image_shape):
    """Images at a time, of generating and of measuring."""
    return comfortable_batch_size(image_shape, _LARGEST_BATCH)


def asked_labels(conditions, num_images):
    """Label of each generated image: all classes in turn; None without classes."""
    num_classes = conditions.num_classes
    return None if num_classes is None else np.arange(num_images) % num_classes


def _generate(model, num_images, sampler, asked):
    """Images as uint8, and their codes packed; in constant memory beyond these."""
    batch_size = batch_size_for(model.autoencoder.image_shape)
    options = SamplingOptions(**asked, batch_size=batch_size, **sampler)
    images = empty_images(num_images, model.autoencoder.image_shape)
    packed = np.empty((num_images, *packed_shape(model.code_shape)), "uint8")
    first = 0
    for codes in model.code_batches(plan_sampling(model, num_images, options)):
        rows = slice(first, first + len(codes))
        images[rows] = to_uint8(model.autoencoder.decode(codes, batch_size=batch_size))
        packed[rows] = pack_codes(codes)
        first += len(codes)
    return images, packed


def _limited(source, num_images, seed):
    return source if len(source) <= num_images else random_subset(source, num_images, seed=seed)
