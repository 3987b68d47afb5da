"""`keras-bld encode`."""

import dataclasses
import functools
import pathlib
import time
from typing import Literal

from keras_bld.base.runs import short_errors
from keras_bld.commands.engine_options import EngineArguments, EngineOptions

_LARGEST_BATCH = 128


def encode_command(
    preset: str,
    /,
    *,
    out: str,
    data: str | None = None,
    data_dir: str | None = None,
    split: str = "train",
    class_folders: bool | None = None,
    crop: Literal["center", "none"] | None = None,
    on_error: Literal["raise", "skip"] | None = None,
    flip: bool = True,
    num_shards: int | None = None,
    batch_size: int | None = None,
    num_threads: int | None = None,
    bulk: EngineArguments = EngineOptions(),  # noqa: B008 (frozen)
):
    """Encode a data set to a code store, from which stage 2 trains without the autoencoder.

    Interrupted, the same command goes on after the last finished shard. Written to
    runs/NAME/codes with the autoencoder of runs/NAME, the store is the one that the recipe uses.

    Args:
        preset: name or directory of an autoencoder, or of a model with one.
        out: directory of the store.
        data: a folder of images, or of Fashion-MNIST's four idx files, digits, or tfds:NAME
            (TensorFlow Datasets, NAME or NAME/CONFIG); by default what the preset was trained on.
        data_dir: where TFDS has its prepared data sets.
        split: train or held_out; or what the source itself knows: all of a folder, train[:50%] of
            TFDS.
        class_folders: whether the sub-folders of a folder are classes. By default, like the next
            two, as in the preset's training; without a record of it, found out.
        crop: center cuts out the largest centred square, none squeezes the whole image; center
            where no record says.
        on_error: skip leaves out files of a folder that cannot be read, and lists them in
            unreadable_images.txt beside the codes; raise where no record says.
        flip: store the code of each mirrored image, too.
        num_shards: number of files; by default one for each 8,192 images.
        batch_size: images in one call of the encoder; by default up to 128, fewer if they are big.
        num_threads: threads that read images; by default one for each core.
        bulk: where images are read and encoded. The machines of a Ray cluster read `data` under
            the same path.
    """
    from keras_bld.base.batching import comfortable_batch_size
    from keras_bld.base.progress import progress_bar
    from keras_bld.commands.tools import load_autoencoder
    from keras_bld.commands.trained_on import data_set_of
    from keras_bld.data import write_code_store
    from keras_bld.presets.fingerprint import autoencoder_fingerprint
    from keras_bld.presets.reading import read_metadata

    with short_errors(resumable=True):
        autoencoder = load_autoencoder(preset)
        image_shape = tuple(autoencoder.image_shape)
        given = {"class_folders": class_folders, "crop": crop, "on_error": on_error}
        given = {name: value for name, value in given.items() if value is not None}
        data_set = dataclasses.replace(data_set_of(read_metadata(preset), data, data_dir), **given)
        source = data_set.open(split, image_shape, work_dir=out)
        if batch_size is None:
            batch_size = comfortable_batch_size(image_shape, _LARGEST_BATCH)
        there = {path.name for path in pathlib.Path(out).glob("*.array_record")}
        begun = time.monotonic()
        encode = functools.partial(autoencoder.encode, batch_size=batch_size)
        with bulk.open() as engine, progress_bar("encode", len(source)) as show:
            store = write_code_store(
                out,
                source,
                encode,
                autoencoder.code_shape,
                autoencoder_fingerprint(autoencoder),
                flip=flip,
                num_shards=num_shards,
                batch_size=batch_size,
                num_threads=num_threads,
                on_progress=lambda done, _: show(done),
                engine=engine,
            )
            show(len(store))
    _report(store, source, there, time.monotonic() - begun)


def _report(store, source, there, seconds):
    from keras_bld.commands.tools import images_written
    from keras_bld.data.unreadable import UNREADABLE_LIST

    encoded = images_written(store, there)
    left_out = len(getattr(source, "unreadable", ()))
    if left_out:
        print(f"{left_out} files cannot be read and were left out: {store.path / UNREADABLE_LIST}")
    if encoded:
        print(f"{encoded:,} images in {seconds:.1f} s: {encoded / seconds:.1f} images/s")
    else:
        print("The store was finished already; nothing to encode.")
    size = sum(store.header["shard_bytes"]) / len(store)
    versions = "code and mirrored image's code" if store.has_flips else "code"
    shape = " x ".join(map(str, store.code_shape))
    print(
        f"{store.path}: {len(store):,} images, classes: {store.num_classes}, "
        f"shards: {store.header['num_shards']}"
    )
    print(f"{size:,.0f} bytes an image: {versions} of {shape} bits")
