"""The numbers of a card, section by section; each a dictionary of name -> `score(...)`."""

import numpy as np

from keras_bld.data import unpack_codes
from keras_bld.metrics import (
    classification_accuracy_score,
    density_coverage,
    extract_features,
    frechet_distance,
    inception_score,
    kernel_distance,
    mean_and_error,
    precision_recall,
    psnr,
    ssim,
)

# The k-NN metrics compare every pair; the bootstrap of FID takes a matrix root each time.
_MOST_FOR_NEIGHBORS = 10_000
_NUM_BOOTSTRAPS = 8
_WIDEST_BOOTSTRAP = 512
_LARGEST_TOP_5 = 5
_SMALLEST_FOR_SSIM = 11


def score(value, error=None, num_samples=None, note=None):
    """One number of a card: its value, standard error, what it was taken over, and a remark."""
    parts = {"value": value, "error": error, "num_samples": num_samples, "note": note}
    return {
        name: float(part) if isinstance(part, np.floating) else part
        for name, part in parts.items()
        if part is not None
    }


def reconstruction_scores(autoencoder, real, network, batch_size, num_classes=None):
    """PSNR and SSIM of reconstructions, and their Frechet distance to the originals.

    Args:
        autoencoder: `BinaryAutoencoder`.
        real: `ImageSet` of held-out images.
        network: `FeatureNetwork` of its features.
        batch_size: images at a time.
        num_classes: classes that a model is asked for. Where the network tells them, how many of
            the real images and of their reconstructions it does recognise is measured, too:
            what `recognition_scores` of a perfect model would be, without and with this decoder.
    """
    similarity, features = {}, []
    for first in range(0, len(real.images), batch_size):
        rows = slice(first, first + batch_size)
        batch = real.images[rows]
        made = autoencoder.decode(unpack_codes(real.codes[rows], autoencoder.code_shape[-1]))
        for name, values in image_similarity(batch, made).items():
            similarity.setdefault(name, []).extend(values)
        features.append(extract_features(made, network, batch_size))
    features = np.concatenate(features)
    scores = {}
    for name, values in similarity.items():
        mean, error = mean_and_error(values)
        label = {"psnr": "psnr_db"}.get(name, name)
        scores[f"reconstruction_{label}"] = score(mean, error, len(features))
    distance = frechet_distance(features, real.features)
    scores["reconstruction_frechet_distance"] = score(distance, num_samples=len(features))
    if tells_classes(network, num_classes):
        for name, found in (("real", real.features), ("reconstructions", features)):
            scores[f"recognised_of_{name}"] = _recognised(network, found, real.labels)
    return scores


def bit_scores(autoencoder, real, batch_size):
    """How sure the encoder is of its bits, and how many of them say nothing.

    Args:
        autoencoder: `BinaryAutoencoder`.
        real: `ImageSet` of held-out images.
        batch_size: images at a time.
    """
    entropies = []
    for first in range(0, len(real.images), batch_size):
        p = autoencoder.encode_probabilities(real.images[first : first + batch_size])
        p = np.clip(np.asarray(p, "float64"), 1e-7, 1.0 - 1e-7)
        bits = -p * np.log2(p) - (1.0 - p) * np.log2(1.0 - p)
        entropies.extend(bits.mean(axis=(1, 2, 3)))
    mean, error = mean_and_error(entropies)
    codes = unpack_codes(real.codes, autoencoder.code_shape[-1])
    dead = float(np.mean(codes.min(axis=0) == codes.max(axis=0)))
    return {
        "bit_entropy": score(mean, error, len(entropies), "0: the encoder is sure; 1: a coin"),
        "dead_bits": score(dead, None, len(codes), "share that is the same in all images"),
    }


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


def distribution_scores(made, real, train, network, seed=0):
    """Distances and overlaps of feature sets: generated against held-out images.

    `floor` numbers compare as many training images with the same held-out ones: what a perfect
    model would get at this number of images.

    Args:
        made: features of generated images, (num_images, num_features).
        real: features of held-out images.
        train: features of training images.
        network: the `FeatureNetwork` of all three.
        seed: of subsets and bootstraps.
    """
    generator = np.random.default_rng(seed)
    floor = train[generator.permutation(len(train))[: len(made)]]
    scores = {
        "frechet_distance": score(
            frechet_distance(made, real), _bootstrap_error(made, real, generator), len(made)
        ),
        "frechet_distance_floor": score(frechet_distance(floor, real), num_samples=len(floor)),
    }
    few_made, few_real, few_floor = (part[:_MOST_FOR_NEIGHBORS] for part in (made, real, floor))
    for name, features in (("kernel_distance", few_made), ("kernel_distance_floor", few_floor)):
        mean, error = kernel_distance(features, few_real, seed=seed)
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
        mean, spread = inception_score(network.class_probabilities(made))
        scores["inception_score"] = score(mean, spread, len(made), "error: over 10 splits")
        mean, spread = inception_score(network.class_probabilities(real))
        scores["inception_score_of_real"] = score(mean, spread, len(real))
    return scores


def tells_classes(network, num_classes):
    """Whether the classes of a `FeatureNetwork` are those of the data set, by their number.

    Those of the Inception network, or of one from keras.applications, are not.
    """
    return network.kernel is not None and network.kernel.shape[1] == num_classes


def recognition_scores(network, features, labels):
    """Share of generated images that the network's classifier puts into the class asked for."""
    note = "by the feature network, a classifier trained on real images"
    return {"recognised_as_asked": _recognised(network, features, labels, note)}


def _recognised(network, features, labels, note=None):
    right = network.class_probabilities(features).argmax(axis=1) == labels
    return score(float(right.mean()), share_error(right.mean(), len(right)), len(right), note)


def accuracy_scores(made, train, held_out, num_classes, epochs, seeds):
    """Classification accuracy score (CAS), beside that of the same classifier on real images.

    Args:
        made, train, held_out: pairs (images, labels).
        num_classes: number of classes.
        epochs: passes over the images that the classifier learns from; the smaller of the two
            sets is passed more often, so that both trainings take equally many steps.
        seeds: seeds of the classifier, one training each.
    """
    most = max(len(made[1]), len(train[1]))
    scores = {}
    accuracies = {}
    for name, (images, labels) in (("generated", made), ("real", train)):
        passes = round(epochs * most / len(labels))
        found = [
            classification_accuracy_score(
                images, labels, *held_out, num_classes, epochs=passes, seed=seed
            )
            for seed in seeds
        ]
        for top in ("top_1", "top_5") if num_classes > _LARGEST_TOP_5 else ("top_1",):
            values = np.array([accuracy[top] for accuracy in found])
            accuracies[name, top] = values.mean()
            spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            error = max(spread, share_error(values.mean(), len(held_out[1])))
            what = {"generated": "classification_accuracy_score", "real": "accuracy_of_real"}[name]
            note = f"trained on {len(labels)} {name} images, {passes} epochs, {len(seeds)} seeds"
            scores[f"{what}_{top}"] = score(values.mean(), error, len(held_out[1]), note)
    share = accuracies["generated", "top_1"] / max(accuracies["real", "top_1"], 1e-9)
    scores["share_of_real_accuracy"] = score(share)
    return scores


def share_error(share, count):
    """Standard error of a share of `count` independent samples."""
    return float(np.sqrt(max(share * (1.0 - share), 0.0) / count))


def _bootstrap_error(made, real, generator):
    """Standard deviation of the distance over resampled generated images."""
    if made.shape[1] > _WIDEST_BOOTSTRAP:
        return None
    distances = [
        frechet_distance(made[generator.integers(0, len(made), len(made))], real)
        for _ in range(_NUM_BOOTSTRAPS)
    ]
    return float(np.std(distances, ddof=1))
