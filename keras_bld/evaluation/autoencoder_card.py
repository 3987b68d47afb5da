"""The evaluation card of a stage 1 alone: reconstruction, and the use of its bits."""

import numpy as np

from keras_bld.base.bulk import run_here
from keras_bld.evaluation import measures
from keras_bld.evaluation.card import CardSettings, describe_network, describe_source, versions
from keras_bld.evaluation.image_arrays import random_rows
from keras_bld.evaluation.real_images import check_enough_images, numbered_as
from keras_bld.evaluation.samples import batch_size_for, real_features, real_set, reconstruct
from keras_bld.metrics import frechet_distance, frechet_distance_error

_NUM_PICTURES = 20


def evaluate_autoencoder(
    autoencoder,
    train,
    held_out,
    network,
    settings=None,
    say=lambda message: None,
    engine=run_here,
):
    """Measure a stage 1: reconstruction of held-out images, and what their bits carry.

    Args:
        autoencoder: a `CodeAutoencoder` whose codes are bits.
        train: source of the images it was trained on; for the floor of the distance.
        held_out: source of images of the same distribution that it has not seen.
        network: `FeatureNetwork` of the distances (`open_network`); None leaves them out.
        settings: `CardSettings`, of which `num_images` (the most that are used) and `seed` count.
        say: function that is told what is being measured.
        engine: as in `evaluate_model`.

    Returns:
        (card, pictures) as `evaluate_model` does, for `write_card`.
    """
    settings = settings or CardSettings()
    check_enough_images(train, held_out, network)
    held_out = numbered_as(train, held_out)
    batch_size = batch_size_for(autoencoder.image_shape)
    say(f"features of real images ({'none' if network is None else network.name})")
    real = real_set(held_out, autoencoder, network, settings.num_images, settings.seed, engine)
    say("reconstruction")
    made, similarity = reconstruct(real, autoencoder, network)
    metrics = measures.reconstruction_scores(real, made, similarity, network)
    if network is not None:
        metrics["frechet_distance_floor"] = _floor(train, real.features, network, settings)
    say("use of the bits")
    metrics |= measures.bit_scores(autoencoder, real, batch_size)
    shown = random_rows(len(real.images), _NUM_PICTURES, settings.seed)
    card = {
        "model": {
            "bits_per_image": int(np.prod(autoencoder.code_shape)),
            "code_shape": list(autoencoder.code_shape),
            "autoencoder_weights": autoencoder.count_params(),
        },
        "real": describe_source(held_out, len(real.images)),
        "train": describe_source(train, min(len(train), settings.num_images)),
        "settings": {"num_images": settings.num_images, "seed": settings.seed},
        "feature_network": describe_network(network, real.features),
        "versions": versions(),
        "metrics": metrics,
    }
    pairs = (real.images[shown], made.images[shown] / np.float32(255.0))
    return card, {"real": real, "reconstructed": pairs}


def _floor(train, real, network, settings):
    """Distance of as many training images to the held-out ones."""
    known = real_features(train, network, settings.num_images, settings.seed).features
    floor = known[random_rows(len(known), len(real), settings.seed)]
    return measures.score(
        frechet_distance(floor, real),
        frechet_distance_error(floor, real),
        len(floor),
        "what training images score",
    )
