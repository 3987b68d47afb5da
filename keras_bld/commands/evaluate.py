"""`keras-bld evaluate`."""

import contextlib
import pathlib
import shlex
import sys
from typing import Literal

from keras_bld.base import checks
from keras_bld.base.run_lock import only_run_in
from keras_bld.base.runs import say, short_errors
from keras_bld.commands.engine_options import EngineArguments, EngineOptions
from keras_bld.commands.sampler_options import (
    SamplerArguments,
    SamplerOptions,
    SweepArguments,
    SweepOptions,
)

_SWEEP_SHEET = "sweep_samples.png"
_AUTOENCODERS = ("BinaryAutoencoder", "BottleneckAutoencoder")


def evaluate_command(
    preset: str,
    /,
    *,
    data: str | None = None,
    out: str | None = None,
    data_dir: str | None = None,
    network: str | None = None,
    network_epochs: int = 5,
    num_images: int = 10_000,
    sampler: SamplerArguments = SamplerOptions(),  # noqa: B008 (frozen)
    decoder: Literal["full", "small"] = "full",
    seed: int = 0,
    num_likelihood_images: int = 1000,
    num_training_images: int = 1_000_000,
    classifier_epochs: int = 5,
    classifier_seeds: int = 1,
    sweep: SweepArguments = SweepOptions(),  # noqa: B008 (frozen)
    sweep_against: Literal["held_out", "train"] = "held_out",
    bulk: EngineArguments = EngineOptions(),  # noqa: B008 (frozen)
):
    """Measure a trained model on held-out images: an evaluation card, or a sweep of samplers.

    The card (card.json, card.md, pictures) has reconstruction, likelihood, distances,
    classification accuracy score and nearest training images, with errors and everything they
    depend on. With one of the --sweep options the distances are measured for each combination
    instead: sweep.json, sweep.csv, heat maps, a curve over the steps and a sheet of
    samples; interrupted, the same command goes on with what is missing.

    Of an autoencoder alone the card has reconstruction and the use of its bits.

    A model that is conditioned on text is measured on the captions of the data set, each image with
    its own; asked for with wordings that training has not seen (the preset keeps them), and without
    any text. Captions of one class folder show the same.

    Args:
        preset: name or directory of a BinaryLatentDiffusion with its autoencoder, or of an
            autoencoder.
        data: where the data set is that the preset was trained on: its folder, digits, or
            tfds:NAME; by default where it was in training. What was held out, which folders are
            classes and all else come from the preset. Another data set is split as
            docs/data.md says.
        out: directory to write; by default runs/evaluation/ and the preset's name.
        data_dir: where TFDS has its prepared data sets.
        network: feature network: efficientnet_lite (of ImageNet; the default where the extra
            `perceptual` is installed), domain (a classifier trained here on the training images),
            inception (the standard one), a .keras classifier, a .pth of Inception weights, a name
            in keras.applications, or none (a card without distances).
        network_epochs: passes of the domain network over the training images.
        num_images: generated images, and the most real ones in a comparison.
        sampler: the fields of `Sampling`.
        decoder: which one makes the images that are measured, of presets that have a small one
            (distill-decoder).
        seed: of samples, noise and classifiers.
        num_likelihood_images: held-out images for likelihood and calibration.
        num_training_images: the most training images among which copies are searched; a random
            subset where there are more.
        classifier_epochs: of the classification accuracy score, passes over the larger one of the
            two sets (the generated images, the training images); both classifiers take as many
            steps. 0 leaves it out.
        classifier_seeds: trainings of each of its classifiers.
        sweep: values to try of the fields of `Sampling`.
        sweep_against: real images of a sweep; train keeps the held-out ones unseen for the card
            when settings are chosen.
        bulk: where images are made, read and encoded, and their features found.
    """
    from keras_bld.commands.trained_on import conditions_for, data_set_of, open_splits
    from keras_bld.evaluation import (
        CardSettings,
        check_enough_images,
        default_network,
        evaluate_autoencoder,
        evaluate_model,
        open_network,
        write_card,
    )
    from keras_bld.evaluation.card_files import TRAINING_FOLDER, say_metrics
    from keras_bld.presets.reading import read_metadata

    with short_errors(resumable=True), contextlib.ExitStack() as held:
        metadata = read_metadata(preset)
        settings = CardSettings(
            num_images=num_images,
            seed=seed,
            num_likelihood_images=num_likelihood_images,
            num_training_images=num_training_images,
            classifier_epochs=classifier_epochs,
            classifier_seeds=classifier_seeds,
        )
        axes = sweep.given()
        name = _name(preset)
        folder = pathlib.Path(out or f"runs/evaluation/{name}")
        data_set = data_set_of(metadata, data, data_dir)
        model, autoencoder = _load(preset, metadata, bool(axes or sampler.given()), decoder)
        if model is not None:
            model.sampling = model.sampling.replace(**sampler.given())
        sources = open_splits(data_set, metadata, autoencoder.image_shape, folder)
        train, held_out = sources.values()
        network = network or default_network()
        conditions = None
        if model is not None:
            conditions = conditions_for(model, metadata, train, seed)
        check_enough_images(train, held_out, None if network == "none" else network)
        held.enter_context(only_run_in(folder))
        features = open_network(network, train, folder, network_epochs, seed)
        engine = held.enter_context(bulk.open())
        if axes:
            _sweep(
                model, sources, sweep_against, features, settings, axes, folder, conditions, engine
            )
            return
        if model is None:
            measured = (autoencoder, train, held_out, features, settings, say, engine)
            card, sets = evaluate_autoencoder(*measured)
        else:
            card, sets = evaluate_model(
                model,
                train,
                held_out,
                features,
                settings,
                say,
                conditions,
                folder / TRAINING_FOLDER,
                engine,
            )
        card = {
            "preset": {"name": name, "files": metadata["files"], "decoder": decoder},
            "command": f"keras-bld {shlex.join(sys.argv[1:])}",
            **card,
        }
        write_card(card, sets, folder)
        say_metrics(card, say)
        say(f"{folder / 'card.md'}")


def _name(preset):
    """What a preset is called: its own name, or that of the run whose stage left it."""
    path = pathlib.Path(preset)
    if path.name != "preset":
        return path.name
    stage_or_run = path.resolve().parent
    if stage_or_run.name == "autoencoder":  # runs/NAME/autoencoder/preset
        return f"{stage_or_run.parent.name}_autoencoder"
    return stage_or_run.name  # runs/NAME/preset


def _load(preset, metadata, samples, decoder):
    """(model, autoencoder) of a preset with one decoder; model None for an autoencoder alone.

    `samples` says that something was asked for that only a model which makes images has.
    """
    from keras_bld.autoencoder import with_decoder
    from keras_bld.commands.tools import load_autoencoder, load_image_model

    if metadata["class_name"] in _AUTOENCODERS:
        if samples:
            raise checks.error(
                "preset",
                f"{preset!r}, an autoencoder alone, with settings of a sampler",
                "a BinaryLatentDiffusion, or no settings of a sampler",
                "leave out steps, temperature, guidance and sweeps: an autoencoder makes no images",
            )
        return None, with_decoder(load_autoencoder(preset), decoder)
    model = with_decoder(load_image_model(preset), decoder)
    return model, model.autoencoder


def _sweep(model, sources, against, features, settings, axes, folder, conditions, engine):
    from keras_bld.evaluation import sweep_samplers, sweep_sheet, write_sweep

    compared = sources.pop(against)
    (other,) = sources.values()
    rows = sweep_samplers(
        model,
        other,
        compared,
        features,
        settings,
        folder=folder,
        say=say,
        conditions=conditions,
        engine=engine,
        **axes,
    )
    sweep_sheet(model, rows, settings, folder / _SWEEP_SHEET, conditions)
    names = [*write_sweep(rows, folder), _SWEEP_SHEET]
    say("\n".join(f"{folder / name}" for name in names))
