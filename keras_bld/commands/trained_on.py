"""The data set that a preset was trained on, as its commands open it."""

import pathlib

from keras_bld.base import checks
from keras_bld.base.runs import say
from keras_bld.commands.tools import autoencoder_of, load_image_model
from keras_bld.data import (
    CaptionedFolder,
    DataSet,
    find_data_set,
    load_arrays,
    random_subset,
)
from keras_bld.data.splits import SPLITS
from keras_bld.presets.reading import read_metadata
from keras_bld.text import LabelConditions
from keras_bld.text.label_conditions import stored_wordings
from keras_bld.zoo import load_preset

_MOST_HELD_OUT = 500  # to measure a part of an autoencoder on


def open_with_images(preset, data, data_dir, num_images, seed):
    """A preset's model with images that it was trained on, for what learns from both.

    Args:
        preset: name or directory of a `BinaryLatentDiffusion` with its autoencoder.
        data, data_dir: as for `find_data_set`; None where nothing was given.
        num_images: the most images, a random choice.
        seed: of the choice and of the wordings of texts.

    Returns:
        (metadata, model, images, conditions): of the preset; uint8; keywords such as `labels`,
        one condition for each image, texts in all wordings of the training.
    """
    metadata = read_metadata(preset)
    data_set = data_set_of(metadata, data, data_dir)
    model = load_image_model(preset)
    train = open_splits(data_set, metadata, model.autoencoder.image_shape)["train"]
    conditions = conditions_for(model, metadata, train, seed)
    images, labels = load_arrays(random_subset(train, num_images, seed))
    return metadata, model, images, conditions.learned(labels)


def open_autoencoder_with_images(preset, data, data_dir, num_images, seed):
    """A preset's model with images for what trains a part of its autoencoder.

    Args:
        preset: name or directory of an autoencoder, or of a model with one.
        data, data_dir, num_images, seed: as of `open_with_images`.

    Returns:
        (metadata, model, images, unseen): of the preset; uint8 images of the training, and held-out
        ones, 500 at most.
    """
    metadata = read_metadata(preset)
    model = load_preset(preset)
    data_set = data_set_of(metadata, data, data_dir)
    sources = open_splits(data_set, metadata, autoencoder_of(model, preset).image_shape)
    images, unseen = (
        load_arrays(random_subset(sources[split], most, seed))[0]
        for split, most in (("train", num_images), ("held_out", _MOST_HELD_OUT))
    )
    return metadata, model, images, unseen


def data_set_of(metadata, data=None, data_dir=None):
    """The `DataSet` that a preset was trained on, where it is now, or another one.

    Args:
        metadata: of the preset; its record says everything but the place, where `data` gives one.
        data, data_dir: as for `find_data_set`; None where nothing was given.

    Raises:
        ValueError: nothing given, and a preset that does not say what it was trained on.
    """
    record = metadata.get("trained_on")
    if record is None:
        return _guess(metadata, data, data_dir)
    trained = DataSet.from_record(record)
    if data is None and data_dir is None:
        return trained
    given = trained.moved(data or trained.name, data_dir)
    if not trained.is_same(given):
        say(f"note: the preset was trained on {trained.name}; {_splits(given)}")
    return given


def open_splits(data_set, metadata, image_shape, work_dir=None):
    """The sources of what a preset was trained on and of what was held out.

    A line says so where a split has another number of images than in training, or where the
    captions that were trained on are not there; then the classes are those of the folders.

    Args:
        data_set: the `DataSet`, of `data_set_of`.
        metadata: of the preset.
        image_shape: of its images.
        work_dir: where files that cannot be read are listed.

    Returns:
        Dictionary "train" and "held_out" -> source.
    """
    if data_set.captions is not None:
        captions = pathlib.Path(data_set.place or "") / data_set.captions
        if not captions.is_file():
            say(f"note: no captions, for lack of {captions}: classes are those of the folders")
            data_set = data_set.without_captions()
    sources = {split: data_set.open(split, image_shape, work_dir) for split in SPLITS}
    record = metadata.get("trained_on")
    if record is not None and DataSet.from_record(record).is_same(data_set):
        for split, source in sources.items():
            counted = record.get("num_images", {}).get(split, len(source))
            if counted != len(source):
                say(
                    f"note: {split} has {len(source):,} images, {counted:,} when the preset was "
                    "trained: images that were trained on may be held out now"
                )
    return sources


def conditions_for(model, metadata, source, seed):
    """The `LabelConditions` of a preset's model for the classes of a source.

    Args:
        model: a `BinaryLatentDiffusion`.
        metadata: of its preset.
        source: one of `open_splits`.
        seed: of the wordings that are drawn.
    """
    wordings = stored_wordings(metadata)
    if wordings is not None:
        if isinstance(source, CaptionedFolder):
            wordings = wordings.for_captions(source.class_names, metadata.get("captions"))
        else:
            wordings = wordings.for_classes(source.class_names)
    return LabelConditions(model, wordings, seed)


def _guess(metadata, data, data_dir):
    """Of presets that were saved before they kept a record."""
    data = data or metadata.get("data_name")
    if not data:
        raise checks.error(
            "data",
            "no --data, and a preset that does not say what it was trained on",
            "a folder of images, 'digits' or 'tfds:NAME'",
            "pass --data",
        )
    data_set = find_data_set(data, data_dir)
    say(f"note: the preset does not say how its data was split; {_splits(data_set)}")
    return data_set


def _splits(data_set):
    return f"the splits of {data_set} are those of docs/data.md"
