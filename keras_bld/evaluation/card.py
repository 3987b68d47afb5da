"""The evaluation card: every number of one preset on one data set, and what it depends on."""

import dataclasses
import importlib.metadata
import pathlib
import platform

import keras
import numpy as np

from keras_bld.base import checks
from keras_bld.base.bulk import run_here
from keras_bld.base.version import __version__
from keras_bld.data import random_subset, unpack_codes
from keras_bld.diffusion.sampling import Sampling
from keras_bld.evaluation import measures
from keras_bld.evaluation.flip_calibration import flip_calibration
from keras_bld.evaluation.image_arrays import random_rows, to_arrays
from keras_bld.evaluation.memorisation import comparable_pixels, memorisation
from keras_bld.evaluation.real_images import check_enough_images, numbered_as
from keras_bld.evaluation.samples import (
    batch_size_for,
    real_features,
    real_set,
    reconstruct,
    score_retrieval,
    score_samples,
    score_without_condition,
    training_spaces,
)
from keras_bld.text import LabelConditions

_WITHOUT_CONDITION = 4  # one image without for so many with


@dataclasses.dataclass(frozen=True)
class CardSettings:
    """What the numbers depend on beside model and data.

    Args:
        num_images: generated images, and the most held-out and training images that they are
            compared with in distances.
        sampling: `Sampling` of the generated images; None takes the model's own.
        seed: of samples, noise and classifiers.
        num_likelihood_images: held-out images for likelihood and calibration.
        num_training_images: the most training images among which copies are searched.
        classifier_epochs: passes over the larger set for the classification accuracy score; 0
            leaves it out.
        classifier_seeds: trainings of each classifier.
        num_classifier_images: the most training images that the classifier of real ones sees.
    """

    num_images: int = 10_000
    sampling: Sampling | None = None
    seed: int = 0
    num_likelihood_images: int = 1000
    num_training_images: int = 1_000_000
    classifier_epochs: int = 5
    classifier_seeds: int = 1
    num_classifier_images: int = 100_000

    def __post_init__(self):
        checks.check_integer("num_images", self.num_images, 20)
        checks.check_integer("num_likelihood_images", self.num_likelihood_images, 2)
        checks.check_integer("num_training_images", self.num_training_images, 1)
        checks.check_integer("classifier_epochs", self.classifier_epochs, 0)
        checks.check_integer("classifier_seeds", self.classifier_seeds, 1)
        checks.check_integer("num_classifier_images", self.num_classifier_images, 1)


def evaluate_model(
    model,
    train,
    held_out,
    network,
    settings=None,
    say=lambda message: None,
    conditions=None,
    training_folder=None,
    engine=run_here,
):
    """Measure a model: reconstruction, likelihood, distribution, accuracy, memorisation.

    Args:
        model: a `BinaryLatentDiffusion` with its autoencoder.
        train: source of the images it was trained on.
        held_out: source of images of the same distribution that no model has seen.
        network: `FeatureNetwork` of all distances (`open_network`); None leaves out what needs one.
        settings: `CardSettings`; None takes its defaults.
        say: function that is told what is being measured.
        conditions: `LabelConditions` for the classes of the data set; needed for a model that is
            conditioned on text. Its images are asked for with wordings that it has not seen, and
            a quarter as many more without any text.
        training_folder: gets checkpoints of the classifiers that are trained, so that the same
            call goes on after an interruption; to be removed when the card is written.
        engine: of `keras_bld.base.bulk.open_engine`; where images are made, read and encoded, and
            their features found.

    Returns:
        (card, pictures): a dictionary of plain values, ready for JSON, with `metrics`
        (name -> value, error, num_samples, note), `likelihood_profile`, `calibration`,
        `memorisation` and everything the numbers depend on; and the arrays for plots and sheets.

    Raises:
        ValueError: a model without autoencoder, other classes than those of the data set, or too
            few held-out images; all found before anything is measured.
    """
    settings = settings or CardSettings()
    if model.autoencoder is None:
        raise checks.error(
            "model",
            "a model without an autoencoder",
            "a BinaryLatentDiffusion that makes images",
            "build or save the model with its autoencoder",
        )
    conditions = conditions or LabelConditions(model, seed=settings.seed)
    _check_classes(conditions, train)
    check_enough_images(train, held_out, network)
    held_out = numbered_as(train, held_out)
    batch_size = batch_size_for(model.autoencoder.image_shape)
    say(f"features of real images ({'none' if network is None else network.name})")
    size = (settings.num_images, settings.seed)
    real = real_set(held_out, model.autoencoder, network, *size, engine)
    known = real_features(train, network, *size, engine)
    sampling = settings.sampling or model.sampling
    say(f"generating {settings.num_images} images, and their distances to real ones: {sampling}")
    drawn = (sampling, settings.seed)
    metrics, made = score_samples(
        model, network, settings.num_images, *drawn, real, known, conditions, engine
    )
    if conditions.takes_text and known.classes is not None:
        num_without = max(1, settings.num_images // _WITHOUT_CONDITION)
        metrics |= score_without_condition(
            model, network, num_without, *drawn, known, conditions, engine
        )
    if conditions.knows_texts and network is not None:
        say(f"retrieval of {len(real.labels)} held-out images by their texts")
        metrics |= score_retrieval(
            model, network, *drawn, real, conditions, held_out.class_groups, engine
        )
    if model.is_conditional and settings.classifier_epochs:
        say("classification accuracy score")
        metrics |= _accuracy(made, train, held_out, settings, training_folder)
    say("reconstruction")
    reconstructed, similarity = reconstruct(real, model.autoencoder, network)
    metrics |= measures.reconstruction_scores(real, reconstructed, similarity, network)
    say("likelihood and calibration")
    found, profile, calibration = _likelihood(model, real, conditions, settings, batch_size)
    metrics |= found
    searched = random_subset(train, settings.num_training_images, settings.seed)
    say(f"nearest training images, of {len(searched)}")
    neighbors = memorisation(
        made.spaces(),
        {**reconstructed.spaces(), "originals": comparable_pixels(real.images)},
        training_spaces(searched, model.autoencoder, network, engine),
    )
    metrics |= measures.memorisation_scores(neighbors, len(made.images), len(train))
    card = {
        "model": {
            "bits_per_image": int(np.prod(model.code_shape)),
            "num_training_steps": model.num_training_steps,
            "denoiser_weights": model.denoiser.count_params(),
        },
        "real": describe_source(held_out, len(real.images)),
        "train": describe_source(train, len(searched)),
        "settings": {
            **dataclasses.asdict(settings),
            "sampling": {**sampling.to_dict(), "num_steps": len(model.time_grid(sampling))},
        },
        "feature_network": describe_network(network, made.features),
        "versions": versions(),
        "metrics": metrics,
        "likelihood_profile": profile,
        "calibration": calibration,
        "memorisation": {
            space: {key: value for key, value in found.items() if not isinstance(value, np.ndarray)}
            for space, found in neighbors.items()
        },
    }
    return card, {"made": made, "real": real, "train": searched, "neighbors": neighbors}


def _accuracy(made, train, held_out, settings, folder):
    """Classification accuracy scores; the classes are what the images show."""
    known, known_labels = to_arrays(
        random_subset(train, settings.num_classifier_images, settings.seed)
    )
    images, labels = to_arrays(held_out)
    return measures.accuracy_scores(
        (made.images, train.shown_classes[made.labels]),
        (known, train.shown_classes[known_labels]),
        (images, held_out.shown_classes[labels]),
        train.num_shown_classes,
        settings.classifier_epochs,
        [settings.seed + index for index in range(settings.classifier_seeds)],
        folder and pathlib.Path(folder),
    )


def _likelihood(model, real, conditions, settings, batch_size):
    """(metrics, profile, calibration) of a random part of the held-out images."""
    rows = random_rows(len(real.images), settings.num_likelihood_images, settings.seed)
    codes = unpack_codes(real.codes[rows], model.code_shape[-1])
    condition = conditions.trained(real.labels[rows])
    how = (settings.seed, min(batch_size, len(codes)))
    metrics, profile = measures.likelihood_scores(
        model, codes, conditions.as_arguments(condition), *how
    )
    calibration = flip_calibration(model, codes, condition, *how)
    if conditions.takes_text and condition is None:
        found = metrics["likelihood_bits_per_dimension"]
        found["note"] += "; without text: which of its class's captions an image has is not known"
    if calibration:
        error = float(np.mean([row["error"] for row in calibration]))
        note = f"expected calibration error of flips, mean over {len(calibration)} time steps"
        metrics["calibration_error"] = measures.score(error, num_samples=len(codes), note=note)
    return metrics, profile, calibration


def versions():
    """Versions that a number may depend on."""
    backend = keras.backend.backend()
    return {
        "keras_bld": __version__,
        "keras": keras.__version__,
        "backend": backend,
        backend: importlib.metadata.version(backend),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def describe_network(network, features):
    """The feature network as a card names it; None without one."""
    if network is None:
        return None
    return {
        "name": network.name,
        "weights_sha256": network.weights_sha256,
        "is_standard": network.is_standard,
        "label": network.label,
        "num_features": int(features.shape[1]),
    }


def describe_source(source, num_used):
    """A source of images as a card names it."""
    preprocessing = getattr(source, "preprocessing", None)
    return {
        "source": type(source).__name__,
        "fingerprint": source.fingerprint(),
        "preprocessing": dataclasses.asdict(preprocessing) if preprocessing else "none recorded",
        "num_images": len(source),
        "num_used": num_used,
        "num_classes": source.num_classes,
    }


def _check_classes(conditions, train):
    if conditions.num_classes not in (None, train.num_classes):
        raise checks.error(
            "train",
            f"a data set of {train.num_classes} classes",
            f"the {conditions.num_classes} classes of the model",
            "evaluate on the data set that the model was trained on",
        )
