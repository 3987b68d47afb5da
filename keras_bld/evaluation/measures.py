"""The numbers of a card, section by section; each a dictionary of name -> `score(...)`."""

import hashlib
import math

import numpy as np
from keras import ops

from keras_bld.autoencoder.metrics import binary_entropy
from keras_bld.data import unpack_codes
from keras_bld.evaluation.image_arrays import random_rows
from keras_bld.metrics import (
    classification_accuracy_score,
    density_coverage,
    frechet_distance,
    frechet_distance_error,
    inception_score,
    kernel_distance,
    mean_and_error,
    nearest_neighbors,
    precision_recall,
    psnr,
    ssim,
)

_MOST_FOR_NEIGHBORS = 10_000  # these metrics compare every pair
_NUM_SPLITS = 10  # of the inception score
_LARGEST_TOP_5 = 5
_NUM_RETRIEVED = 5
_CLASSIFIER_BATCH_SIZE = 64
_SMALLEST_FOR_SSIM = 11


def score(value, error=None, num_samples=None, note=None):
    """One number of a card: its value, standard error, what it was taken over, and a remark."""
    parts = {"value": value, "error": error, "num_samples": num_samples, "note": note}
    return {
        name: float(part) if isinstance(part, np.floating) else part
        for name, part in parts.items()
        if part is not None
    }


def reconstruction_scores(real, made, similarity, network):
    """PSNR and SSIM of reconstructions, and their Frechet distance to the originals.

    Args:
        real: `ImageSet` of held-out images.
        made: that of their reconstructions.
        similarity: `image_similarity` of the pairs.
        network: `FeatureNetwork` of the features; None for PSNR and SSIM alone. Where it tells the
            classes, how many of the real images and of their reconstructions it does recognise is
            measured, too: what `recognition_scores` of a perfect model would be, without and with
            this decoder.
    """
    scores = {}
    for name, values in similarity.items():
        mean, error = mean_and_error(values)
        label = {"psnr": "psnr_db"}.get(name, name)
        scores[f"reconstruction_{label}"] = score(mean, error, len(values))
    if network is None:
        return scores
    distance = frechet_distance(made.features, real.features)
    scores["reconstruction_frechet_distance"] = score(distance, num_samples=len(made.features))
    if real.classes is not None:
        classes = real.classes[real.labels]
        for name, found in (("real", real.features), ("reconstructions", made.features)):
            scores[f"recognised_of_{name}"] = _recognised(network, found, classes)
    return scores


def bit_scores(autoencoder, real, batch_size):
    """How sure a `BinaryAutoencoder` is of its bits, and how many bits say nothing.

    Args:
        autoencoder: `CodeAutoencoder` whose codes are bits.
        real: `ImageSet` of held-out images.
        batch_size: images at a time.
    """
    scores = {}
    if hasattr(autoencoder, "encode_probabilities"):
        entropies = []
        for first in range(0, len(real.images), batch_size):
            p = autoencoder.encode_probabilities(real.images[first : first + batch_size])
            nats = ops.convert_to_numpy(binary_entropy(p))
            entropies.extend(nats.mean(axis=(1, 2, 3)) / np.log(2.0))
        mean, error = mean_and_error(entropies)
        note = "0: the encoder is sure; 1: a coin"
        scores["bit_entropy"] = score(mean, error, len(entropies), note)
    codes = unpack_codes(real.codes, autoencoder.code_shape[-1])
    dead = float(np.mean(codes.min(axis=0) == codes.max(axis=0)))
    scores["dead_bits"] = score(dead, None, len(codes), "share that is the same in all images")
    return scores


def image_similarity(images, made):
    """PSNR (decibels) and SSIM of each image and its counterpart.

    Args:
        images: (num_images, height, width, channels), uint8 or floating in [0, 1].
        made: their reconstructions.

    Returns:
        Dictionary of "psnr" and, for images that hold SSIM's window of 11 x 11 pixels, "ssim":
        lists of one number an image.
    """
    pairs = [(images[row : row + 1], made[row : row + 1]) for row in range(len(images))]
    found = {"psnr": [psnr(*pair) for pair in pairs]}
    if min(images.shape[1:3]) >= _SMALLEST_FOR_SSIM:
        found["ssim"] = [ssim(*pair) for pair in pairs]
    return found


def likelihood_scores(model, codes, asked, seed, batch_size):
    """The variational bound in bits per dimension, and its profile over t = 0 (prior), 1 ... T.

    `asked` holds the condition as a keyword argument of `likelihood`.
    """
    bound = model.likelihood(codes, **asked, seed=seed, batch_size=batch_size)
    mean, error = mean_and_error(bound["bits_per_dimension"])
    note = "upper bound on -log2 p(code) / number of bits"
    scores = {"likelihood_bits_per_dimension": score(mean, error, len(codes), note)}
    return scores, [float(value) for value in bound["profile"]]


def distribution_scores(made, real, train, network, seed=0, strata=None):
    """Distances and overlaps of feature sets: generated against held-out images.

    `floor` numbers compare as many training images with the same held-out ones: what a perfect
    model would get at this number of images.

    Args:
        made: features of generated images, (num_images, num_features).
        real: features of held-out images.
        train: features of training images.
        network: the `FeatureNetwork` of all three.
        seed: of random subsets and splits.
        strata: labels of the generated images where each class was asked for a fixed number of
            times; they narrow the error of the Frechet distance.
    """
    floor = train[random_rows(len(train), len(made), seed)]
    scores = {}
    for name, features, groups in (
        ("frechet_distance", made, strata),
        ("frechet_distance_floor", floor, None),
    ):
        error = frechet_distance_error(features, real, groups)
        scores[name] = score(frechet_distance(features, real), error, len(features))
    few_made, few_real, few_floor = (
        features[random_rows(len(features), _MOST_FOR_NEIGHBORS, seed)]
        for features in (made, real, floor)
    )
    for name, features in (("kernel_distance", few_made), ("kernel_distance_floor", few_floor)):
        mean, error = kernel_distance(features, few_real)
        scores[name] = score(mean, error, len(features))
    precision, recall = precision_recall(few_real, few_made, k=3)
    density, coverage = density_coverage(few_real, few_made, k=5)
    for name, value, count, note in (
        ("precision", precision, len(few_made), "k = 3"),
        ("recall", recall, len(few_real), "k = 3"),
        ("density", density, len(few_made), "k = 5"),
        ("coverage", coverage, len(few_real), "k = 5"),
    ):
        error = None if name == "density" else share_error(value, count)
        scores[name] = score(value, error, count, note)
    if network.kernel is not None:
        for name, features in (("inception_score", made), ("inception_score_of_real", real)):
            probabilities = network.class_probabilities(features)
            mean, spread = inception_score(probabilities, _NUM_SPLITS, seed)
            error = spread / np.sqrt(_NUM_SPLITS - 1)
            note = f"mean of {_NUM_SPLITS} random splits"
            scores[name] = score(mean, error, len(features), note)
    return scores


def network_classes(network, source):
    """For each class of a source the class of a `FeatureNetwork`; None where that tells others.

    Whether it does is seen from their number. A network tells the classes of the source, or what
    these show (`shown_classes`); that of Inception, or one of keras.applications, does not.
    """
    if network is None or network.kernel is None or not source.num_classes:
        return None
    num_told = network.kernel.shape[1]
    if num_told == source.num_classes:
        return np.arange(num_told)
    return source.shown_classes if num_told == source.num_shown_classes else None


def recognition_scores(network, features, labels):
    """Share of generated images that the network's classifier puts into the class asked for."""
    note = "by the feature network, a classifier trained on real images"
    return {"recognised_as_asked": _recognised(network, features, labels, note)}


def _recognised(network, features, labels, note=None):
    right = network.class_probabilities(features).argmax(axis=1) == labels
    return score(float(right.mean()), share_error(right.mean(), len(right)), len(right), note)


def retrieval_scores(made, real, labels, groups=None):
    """How often the true image is among the nearest real ones to what was made for its text.

    Args:
        made: features of generated images, (num_images, num_features): image i was asked for with
            the text of real image i.
        real: features of the real images.
        labels: which text each real image has; images of one text stand for each other.
        groups: name of a group for each real image, to score the groups one by one as well; all
            real images are searched all the same. None without.

    Returns:
        "retrieved_among_5", and "retrieved_among_5_GROUP" for each group.
    """
    made, real, labels = np.asarray(made), np.asarray(real), np.asarray(labels)
    num_drawn = min(_NUM_RETRIEVED, len(real))
    nearest, _ = nearest_neighbors(made, real, num_drawn)
    found = (labels[nearest] == labels[:, None]).any(axis=1)
    # How often images drawn at random hold one of a text that so many images have.
    _, text, counts = np.unique(labels, return_inverse=True, return_counts=True)
    draws = math.comb(len(real), num_drawn)
    by_text = [1 - math.comb(len(real) - count, num_drawn) / draws for count in counts.tolist()]
    chance = np.array(by_text)[text]
    rows = {"": np.ones(len(labels), bool)}
    if groups is not None:
        rows |= {f"_{name}": np.asarray(groups) == name for name in sorted(set(groups))}
    return {
        f"retrieved_among_{_NUM_RETRIEVED}{name}": score(
            float(found[row].mean()),
            share_error(found[row].mean(), int(row.sum())),
            int(row.sum()),
            f"true image among the {_NUM_RETRIEVED} nearest of {len(real)} held-out ones in "
            f"features; chance is {chance[row].mean():.2g}",
        )
        for name, row in rows.items()
    }


def memorisation_scores(neighbors, num_made, num_training_images):
    """How many generated images are nearer to a training image than held-out ones are.

    Args:
        neighbors: result of `memorisation`.
        num_made: generated images.
        num_training_images: training images that there are; those that were searched may be fewer.
    """
    scores = {}
    for space, found in neighbors.items():
        num_searched, num_duplicates = found["num_training_images"], found["held_out_duplicates"]
        if num_duplicates:
            note = "held-out images that are training images, pixel by pixel; left out below"
            scores["held_out_duplicates"] = score(num_duplicates, note=note)
        share = found["nearer_than_held_out"]
        if share is None:
            continue
        among = "all" if num_searched == num_training_images else f"{num_searched} of"
        note = (
            f"{found['expected']:.2g} ± {found['expected_error']:.1g} expected; among {among} "
            f"{num_training_images} training images"
        )
        error = share_error(share, num_made)
        scores[f"nearer_than_held_out_{space}"] = score(share, error, num_made, note)
    return scores


def accuracy_scores(made, train, held_out, num_classes, epochs, seeds, folder=None):
    """Classification accuracy score (CAS), beside that of the same classifier on real images.

    Args:
        made, train, held_out: pairs (images, labels).
        num_classes: number of classes.
        epochs: passes over the larger one of the two sets that a classifier learns from; both
            classifiers take that many steps, with batches of one size.
        seeds: seeds of the classifier, one training each.
        folder: gets checkpoints of the trainings; None keeps none.
    """
    sizes = (len(made[1]), len(train[1]))
    batch_size = min(_CLASSIFIER_BATCH_SIZE, *sizes)
    num_steps = epochs * math.ceil(max(sizes) / batch_size)
    scores = {}
    accuracies = {}
    for name, (images, labels) in (("generated", made), ("real", train)):
        found = [
            classification_accuracy_score(
                images,
                labels,
                *held_out,
                num_classes,
                seed=seed,
                num_steps=num_steps,
                batch_size=batch_size,
                folder=folder and folder / f"{_digest(images, labels)}-{num_steps}-{seed}",
            )
            for seed in seeds
        ]
        for top in ("top_1", "top_5") if num_classes > _LARGEST_TOP_5 else ("top_1",):
            values = np.array([accuracy[top] for accuracy in found])
            accuracies[name, top] = values.mean()
            spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            error = max(spread, share_error(values.mean(), len(held_out[1])))
            what = {"generated": "classification_accuracy_score", "real": "accuracy_of_real"}[name]
            note = f"trained on {len(labels)} {name} images, {num_steps} steps, {len(seeds)} seeds"
            scores[f"{what}_{top}"] = score(values.mean(), error, len(held_out[1]), note)
    share = accuracies["generated", "top_1"] / max(accuracies["real", "top_1"], 1e-9)
    scores["share_of_real_accuracy"] = score(share)
    return scores


def _digest(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]


def share_error(share, count):
    """Standard error of a share of `count` independent samples."""
    return float(np.sqrt(max(share * (1.0 - share), 0.0) / count))
