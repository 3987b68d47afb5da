"""The code store, written: a data set goes through the encoder once; interrupted, it resumes."""

import json
import os
import pathlib

import numpy as np
from keras import ops

from keras_bld import checks
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
from keras_bld.data.loader import reading
from keras_bld.data.optional import import_optional
from keras_bld.data.packing import pack_codes

IMAGES_PER_SHARD = 8192
# One record a group, as random access wants it; the bits of a good code do not compress.
WRITER_OPTIONS = "group_size:1,uncompressed"


def write_code_store(
    path,
    source,
    encode,
    code_shape,
    autoencoder_fingerprint,
    flip=True,
    num_shards=None,
    batch_size=32,
    num_threads=None,
    on_progress=None,
):
    """Encode a data source to a code store; where a part is there already, encode the rest.

    Shards are written beside their place and renamed when they are whole, so what an
    interruption leaves behind is finished shards, and the same call goes on after them. A store
    that is finished is returned as it is.

    Args:
        path: folder of the store; made where it does not exist.
        source: any data source.
        encode: callable from uint8 images (batch_size, height, width, channels) to codes of 0
            and 1, array or tensor of shape (batch_size, *code_shape). Every call has a whole
            batch (the last one is filled up), so a compiled encoder is traced once.
        code_shape: (height, width, channels) of a code.
        autoencoder_fingerprint: str that identifies the autoencoder, such as the sha256 of its
            config and weights.
        flip: whether to store the code of each mirrored image, too.
        num_shards: number of files; by default one for each 8,192 images.
        batch_size: images for each call of `encode`.
        num_threads: threads that read images; by default one for each core, at most 16.
        on_progress: callable of (images done, images in all), called after each batch.

    Returns:
        The finished `CodeStore`.

    Raises:
        ValueError: codes of another shape or not binary, a folder that holds another store, or an
            argument out of range.
        ImportError: grain or array_record is not installed.

    Example:
        >>> store = write_code_store(
        ...     "codes", source, autoencoder.encode, (16, 16, 32), "sha256 of the autoencoder"
        ... )  # doctest: +SKIP
    """
    import_array_record()
    grain = import_optional("grain", "data")
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    path = pathlib.Path(path)
    header = _header(source, code_shape, autoencoder_fingerprint, flip, num_shards)
    if (path / HEADER).is_file():
        header = _same_store(path, header, any_num_shards=num_shards is None)
        if header["complete"]:
            return CodeStore(path)
    else:
        path.mkdir(parents=True, exist_ok=True)
        _write_header(path, header)
    num_shards = header["num_shards"]
    files = [path / shard_name(shard, num_shards) for shard in range(num_shards)]
    starts = [*shard_starts(len(source), num_shards), len(source)]
    images = grain.MapDataset.source(source)
    read_options = reading(grain, num_threads, 2 * batch_size)
    for shard, file in enumerate(files):
        if file.exists():
            continue
        part = images[starts[shard] : starts[shard + 1]]
        batches = part.to_iter_dataset(read_options).batch(batch_size)

        def report(done, start=starts[shard]):
            if on_progress is not None:
                on_progress(start + done, len(source))

        _write_shard(file, batches, encode, header, batch_size, report)
    for left_over in path.glob("*.unfinished"):
        left_over.unlink(missing_ok=True)
    sizes = [file.stat().st_size for file in files]
    _write_header(path, {**header, "complete": True, "shard_bytes": sizes})
    return CodeStore(path)


def _write_shard(file, batches, encode, header, batch_size, report):
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.unfinished")
    writer = import_array_record().ArrayRecordWriter(str(unfinished), WRITER_OPTIONS)
    done = 0
    try:
        for batch in batches:
            images, labels = batch["image"], batch["label"]
            versions = [images, images[:, :, ::-1]] if header["has_flips"] else [images]
            codes = [
                _encode(encode, version, header["code_shape"], batch_size) for version in versions
            ]
            records = np.concatenate(
                [
                    labels.astype(LABEL_TYPE)[:, None].view("uint8"),
                    *(pack_codes(code).reshape(len(labels), -1) for code in codes),
                ],
                axis=1,
            )
            for record in records:
                writer.write(record.tobytes())
            done += len(labels)
            report(done)
        writer.close()
        with open(unfinished, "rb") as written:
            # Renaming may reach the disk before the data does; a crash between would leave an
            # empty shard that looks finished.
            os.fsync(written.fileno())
        os.replace(unfinished, file)
    finally:
        if writer.is_open():
            writer.close()
        unfinished.unlink(missing_ok=True)


def _encode(encode, images, code_shape, batch_size):
    """Return checked codes of up to `batch_size` images, with `encode` called on a whole batch."""
    num_images = len(images)
    filler = np.repeat(images[-1:], batch_size - num_images, axis=0)
    codes = encode(np.concatenate([images, filler]))
    codes = ops.convert_to_numpy(codes) if ops.is_tensor(codes) else np.asarray(codes)
    if codes.shape != (batch_size, *code_shape):
        raise checks.error(
            "encode",
            f"codes of shape {codes.shape}",
            f"shape {(batch_size, *code_shape)}, as `code_shape` says",
            "pass the code_shape of this autoencoder, and a source of its image size",
        )
    return codes[:num_images]


def _header(source, code_shape, autoencoder_fingerprint, flip, num_shards):
    shape = tuple(code_shape)
    if len(shape) != 3:
        raise checks.error(
            "code_shape", repr(code_shape), "(height, width, channels)", "pass three sizes"
        )
    if not isinstance(autoencoder_fingerprint, str) or not autoencoder_fingerprint:
        raise checks.error(
            "autoencoder_fingerprint",
            repr(autoencoder_fingerprint),
            "a string that identifies the autoencoder",
            "pass for example the sha256 of its config and weights",
        )
    if num_shards is None:
        num_shards = -(-len(source) // IMAGES_PER_SHARD)
    return {
        "format": FORMAT,
        "complete": False,
        "code_shape": [checks.check_integer("code_shape", size, 1) for size in shape],
        "num_images": len(source),
        "has_flips": bool(flip),
        "num_shards": checks.check_integer("num_shards", num_shards, 1, len(source)),
        "num_classes": source.num_classes,
        "class_names": list(source.class_names),
        "autoencoder_fingerprint": autoencoder_fingerprint,
        "source_fingerprint": source.fingerprint(),
    }


def _same_store(path, header, any_num_shards):
    """Return the header of the store at `path`; raise ValueError if it is not this one's."""
    there = read_header(path)
    names = [name for name in header if name != "complete"]
    if any_num_shards:
        names.remove("num_shards")
    different = [name for name in names if there.get(name) != header[name]]
    if different:
        received = "; ".join(f"{name} {header[name]!r}" for name in different)
        expected = "; ".join(f"{name} {there.get(name)!r}" for name in different)
        raise checks.error(
            "path",
            f"`{path}`, which holds another store, for {received}",
            f"an empty folder, or {expected}",
            "choose another folder, or delete this one",
        )
    return there


def _write_header(path, header):
    unfinished = path / f"{HEADER}.{os.getpid()}.unfinished"
    unfinished.write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path / HEADER)
