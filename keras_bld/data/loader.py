"""The loader: batches of a data source for `fit`, shuffled, flipped, repeated, resumable."""

import functools
import os
import sys

import numpy as np

from keras_bld.base import checks
from keras_bld.base.optional import import_optional
from keras_bld.base.random import resolve_seed

MAX_THREADS = 16


def image_batches(
    source,
    batch_size,
    seed=0,
    labels=False,
    shuffle=True,
    random_flip=False,
    random_crop=None,
    augmentation=None,
    repeat=True,
    start_batch=0,
    num_threads=None,
    prefetch_batches=2,
    rows=None,
):
    """Return batches of a data source as a `grain.IterDataset`, which `fit` accepts.

    What a batch holds depends on (seed, number of the batch) alone: not on threads, nor on where
    the reading began. Each epoch has its own order, and each image's flip and crop are drawn anew.

    Keras cannot see how long such data are, and warns if it is to shuffle them or meets their
    end: call `fit(batches, steps_per_epoch=len(source) // batch_size, shuffle=False)` and
    `evaluate(batches, steps=ceil(len(source) / batch_size))`.

    Args:
        source: any data source.
        batch_size: images in a batch.
        seed: int in [0, 2**31), or None for an arbitrary one.
        labels: whether batches are (images, labels) or images alone.
        shuffle: whether each epoch has an order of its own.
        random_flip: whether images are mirrored left to right with probability 1/2 (training
            only).
        random_crop: side in pixels of the square that is cut out of each image, anywhere in it
            and drawn anew in each epoch (training only); None leaves images whole.
        augmentation: callable (uint8 images of a batch, `numpy.random.Generator`) -> uint8 images
            of that shape, such as `ColorJitter` (training only); the generator depends on the seed
            and the number of the batch.
        repeat: True for epochs without end, of len(source) // batch_size whole batches. False
            for one pass over all images, the last batch smaller (evaluation).
        start_batch: number of the first batch; a run that stopped after n steps goes on with
            `start_batch=n`.
        num_threads: threads that read and decode; by default one for each core, at most 16.
        prefetch_batches: batches that are decoded ahead; they are held in memory.
        rows: which rows of each batch to read, for one of several processes that share it: their
            positions, as integers in [0, batch_size); None reads all. Needs `repeat`.

    Returns:
        A `grain.IterDataset` of uint8 images (batch, height, width, channels), or of tuples with
        int32 labels (batch,). The state of its iterators (`get_state`, `set_state`) is small and
        can be saved.

    Raises:
        ValueError: labels of a source without labels, a batch larger than the source, or an
            argument out of range.
        ImportError: grain is not installed.

    Example:
        >>> import numpy as np
        >>> from keras_bld.data import ArraySource
        >>> source = ArraySource(np.zeros((10, 8, 8, 3), "uint8"))
        >>> next(iter(image_batches(source, batch_size=4))).shape
        (4, 8, 8, 3)
    """
    grain = import_optional("grain", "data")
    check_batches(source, "source", batch_size, labels, repeat)
    start_batch = checks.check_integer("start_batch", start_batch, 0)
    seed = resolve_seed(seed)
    if random_crop is not None:
        checks.check_integer("random_crop", random_crop, 1)
    dataset = grain.MapDataset.source(source).seed(seed)
    # Before the shuffle, where an index is epoch * len(source) + the image's own.
    if random_flip:
        dataset = dataset.random_map(_random_flip)
    if random_crop is not None:
        dataset = dataset.random_map(functools.partial(_random_crop, random_crop))
    dataset = epochs(grain, dataset, batch_size, seed if shuffle else None, repeat)
    dataset = dataset[start_batch * batch_size :]
    num_rows = batch_size
    if rows is not None and augmentation is None:  # which needs whole batches
        num_rows = len(rows)
        dataset = _own_rows(grain, dataset, batch_size, rows)
    read_options = reading(grain, num_threads, prefetch_batches * batch_size)
    dataset = dataset.map(_with_label if labels else _image_alone)
    batches = dataset.to_iter_dataset(read_options).batch(num_rows, drop_remainder=repeat)
    if augmentation is None:
        return batches
    batches = batches.map_with_index(functools.partial(_augment, augmentation, seed, start_batch))
    return batches if rows is None else batches.map(functools.partial(take_rows, rows=rows))


def epochs(grain, dataset, batch_size, seed, repeat):
    """Return the items of a `MapDataset`, epoch after epoch, each in an order of its own.

    grain's own shuffle permutes an index without a table, which takes 0.8 ms of the processor for
    an item of 64, 0.1 ms for one of 500: in a small folder as long as decoding the image.

    Args:
        grain: the module.
        dataset: a `grain.MapDataset`; item i of epoch e is its item e * len(dataset) + i.
        batch_size: with `repeat` an epoch is as many items as make whole batches, so that no batch
            holds one twice.
        seed: of the orders; None leaves the items in theirs.
        repeat: True for epochs without end, False for one.

    Returns:
        A `grain.MapDataset`.
    """
    length = len(dataset)
    kept = length // batch_size * batch_size if repeat else length

    @functools.lru_cache(maxsize=2)  # threads read ahead into the next epoch
    def order(epoch):
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,)))
        return random.permutation(length)

    def item(number):
        epoch, place = divmod(number, kept)
        return dataset[epoch * length + (place if seed is None else int(order(epoch)[place]))]

    num_epochs = sys.maxsize // max(kept, 1) if repeat else 1
    return grain.MapDataset.range(num_epochs * kept).map(item)


def take_rows(batch, rows):
    """These rows of a batch: an array, a tuple or a dictionary of arrays."""
    if isinstance(batch, dict):
        return {name: array[rows] for name, array in batch.items()}
    return tuple(array[rows] for array in batch) if isinstance(batch, tuple) else batch[rows]


def _own_rows(grain, dataset, batch_size, rows):
    """The items of a `MapDataset` that stand in these rows of its batches."""
    rows = [int(row) for row in rows]
    num_items = len(dataset) // batch_size * len(rows)

    def item(number):
        batch, place = divmod(number, len(rows))
        return dataset[batch * batch_size + rows[place]]

    return grain.MapDataset.range(num_items).map(item)


def check_batches(source, argument, batch_size, labels, repeat):
    """Raise ValueError unless such batches can be made of a source (or of a code store)."""
    checks.check_integer("batch_size", batch_size, 1)
    if labels and source.num_classes is None:
        raise checks.error(
            "labels",
            f"True for a `{argument}` without labels",
            "labels=False, or labelled data",
            "put the images into class folders, or train an unconditional model",
        )
    if repeat and batch_size > len(source):
        raise checks.error(
            "batch_size",
            f"{batch_size} for {len(source)} items",
            f"at most {len(source)}",
            "pass a smaller batch_size",
        )


def reading(grain, num_threads, buffer_size):
    """Return `grain.ReadOptions`; grain's default would hold 500 items per dataset."""
    if num_threads is None:
        num_threads = min(os.cpu_count() or 1, MAX_THREADS)
    num_threads = checks.check_integer("num_threads", num_threads, 1)
    return grain.ReadOptions(
        num_threads=num_threads, prefetch_buffer_size=max(num_threads, buffer_size)
    )


def _random_flip(item, generator):
    if generator.random() < 0.5:
        return {**item, "image": _mirrored(item["image"])}
    return item


def _mirrored(image):
    """A copy, left to right: channel by channel, which takes numpy a quarter of the time.

    A view would be copied when the batch is stacked, by one thread while all others wait.
    """
    mirrored = np.empty_like(image)
    for channel in range(image.shape[-1]):
        mirrored[..., channel] = image[:, ::-1, channel]
    return mirrored


def _random_crop(side, item, generator):
    height, width = item["image"].shape[:2]
    if side > min(height, width):
        raise checks.error(
            "random_crop",
            f"{side} for an image of {height} x {width} pixels",
            f"at most {min(height, width)}",
            "pass a smaller random_crop, or None for whole images",
        )
    top = generator.integers(height - side, endpoint=True)
    left = generator.integers(width - side, endpoint=True)
    return {**item, "image": item["image"][top : top + side, left : left + side]}


def _augment(augmentation, seed, start_batch, index, batch):
    images, *labels = batch if isinstance(batch, tuple) else (batch,)
    images = augmentation(images, np.random.default_rng([seed, start_batch + index]))
    return (images, *labels) if labels else images


def _with_label(item):
    return item["image"], np.int32(item["label"])


def _image_alone(item):
    return item["image"]
