"""A code store, written: wherever codes come from, an interruption costs one shard at most."""

import contextlib
import errno
import os
import pathlib

import numpy as np

from keras_bld.base import checks
from keras_bld.base.bulk import run_here
from keras_bld.base.files import NO_ROOM, replacing, write_json
from keras_bld.data.code_store import (
    FORMAT,
    HEADER,
    LABEL_TYPE,
    CodeStore,
    import_array_record,
    read_header,
    shard_name,
    shard_starts,
)
from keras_bld.data.images import UnreadableImageError

# One record a group, as random access wants it; the bits of a good code do not compress.
WRITER_OPTIONS = "group_size:1,uncompressed"
# What tells one list of images from another.
_OF_THE_IMAGES = {"num_images", "num_shards", "num_classes", "class_names", "source_fingerprint"}


def store_header(code_shape, num_images, num_shards, class_names, has_flips, **what_decides):
    """Return the header of a store that is to be written.

    Args:
        code_shape: (height, width, channels) of a code.
        num_images: how many images.
        num_shards: number of files, at most one an image.
        class_names: list of str, empty without labels.
        has_flips: whether there is a code of each mirrored image, too.
        what_decides: what the codes depend on (fingerprints, settings), of types that JSON has;
            `autoencoder_fingerprint` among them. Writing goes on only where all of it is the same.

    Raises:
        ValueError: a shape of other than three sizes >= 1, or a number of shards out of range.
    """
    shape = tuple(code_shape)
    if len(shape) != 3:
        raise checks.error(
            "code_shape", repr(code_shape), "(height, width, channels)", "pass three sizes"
        )
    return {
        "format": FORMAT,
        "complete": False,
        "code_shape": [checks.check_integer("code_shape", size, 1) for size in shape],
        "num_images": num_images,
        "has_flips": bool(has_flips),
        "num_shards": checks.check_integer("num_shards", num_shards, 1, num_images),
        "num_classes": len(class_names) or None,
        "class_names": list(class_names),
        **what_decides,
    }


def write_code_shards(
    path,
    header,
    batches_of,
    any_num_shards=False,
    on_progress=None,
    batch_size=1,
    engine=run_here,
    defaults=None,
):
    """Write the shards that are not there yet, and then the header of a finished store.

    A shard is written beside its place and renamed when it is whole.

    Args:
        path: folder of the store; made where it does not exist.
        header: what `store_header` returned.
        batches_of: callable of (start, stop) that returns an iterable over these images, in order:
            pairs of labels (batch,), -1 for none, and a list of packed codes (`pack_codes`): one
            array, with flips two.
        any_num_shards: whether a store that was begun keeps its own number of shards.
        on_progress: callable of (images done, images in all), called after each batch.
        batch_size: images of a batch.
        engine: of `open_engine`; where `batches_of` runs.
        defaults: values of entries that the header there has not recorded, because the store was
            begun before they existed.

    Returns:
        The finished `CodeStore`; one that was finished before, as it is.

    Raises:
        ValueError: a folder that holds another store.
        ImportError: array_record is not installed.
    """
    import_array_record()
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    header = _claim(path, header, any_num_shards, defaults or {})
    if header["complete"]:
        return CodeStore(path)
    num_images, num_shards = header["num_images"], header["num_shards"]
    files = [path / shard_name(shard, num_shards) for shard in range(num_shards)]
    starts = [*shard_starts(num_images, num_shards), num_images]
    missing = [
        (file, start, stop)
        for file, start, stop in zip(files, starts, starts[1:], strict=False)
        if not file.exists()
    ]
    batches = engine(batches_of, [(start, stop) for _, start, stop in missing], batch_size)
    for file, start, stop in missing:

        def report(done, start=start):
            if on_progress is not None:
                on_progress(start + done, num_images)

        try:
            _write_shard(file, batches, stop - start, report)
        except UnreadableImageError as error:
            write_json(path / HEADER, {**header, "unreadable": str(error)})
            raise
    sizes = [file.stat().st_size for file in files]
    write_json(path / HEADER, {**header, "complete": True, "shard_bytes": sizes})
    return CodeStore(path)


def _write_shard(file, batches, num_images, report):
    """Write the next `num_images` codes of an iterator of batches, none of which goes on after."""
    with replacing(file) as new, _write_errors():
        writer = import_array_record().ArrayRecordWriter(str(new), WRITER_OPTIONS)
        done = 0
        try:
            while done < num_images:
                labels, versions = next(batches)
                records = np.concatenate(
                    [
                        np.asarray(labels, LABEL_TYPE)[:, None].view("uint8"),
                        *(packed.reshape(len(labels), -1) for packed in versions),
                    ],
                    axis=1,
                )
                for record in records:
                    writer.write(record.tobytes())
                done += len(labels)
                report(done)
        finally:
            writer.close()


@contextlib.contextmanager
def _write_errors():
    """What ArrayRecord raises where the disk is full, as the OSError that it is."""
    try:
        yield
    except RuntimeError as reason:
        if "write() failed" not in str(reason):
            raise
        said = [number for number in NO_ROOM if os.strerror(number) in str(reason)]
        number = said[0] if said else errno.EIO
        raise OSError(number, os.strerror(number)) from reason


def _claim(path, header, any_num_shards, defaults):
    """Return the header to go on with; raise ValueError where the folder holds another store."""
    shards = list(path.glob("codes-*.array_record"))
    there = read_header(path) if (path / HEADER).is_file() else None
    if there is None or not shards:
        # No shard, no claim: what failed at once may be begun with other settings.
        write_json(path / HEADER, header)
        return header
    names = [name for name in header if name != "complete"]
    if any_num_shards:
        names.remove("num_shards")
    there |= {name: value for name, value in defaults.items() if name not in there}
    different = [name for name in names if there.get(name) != header[name]]
    if not different:
        # Without the mark of an unreadable image: it may have been repaired.
        return {name: value for name, value in there.items() if name != "unreadable"}
    if "unreadable" in there and _OF_THE_IMAGES.issuperset(different):
        # The store could not be finished with the images it was begun with.
        for shard in shards:
            shard.unlink()
        write_json(path / HEADER, header)
        return header
    received = "; ".join(f"{name} {header[name]!r}" for name in different)
    expected = "; ".join(f"{name} {there.get(name)!r}" for name in different)
    raise checks.error(
        "path",
        f"`{path}`, which holds another store, for {received}",
        f"an empty folder, or {expected}",
        "choose another folder, or delete this one",
    )
