"""A data set, encoded once: images go through the encoder into a code store."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_bld.base import checks
from keras_bld.base.bulk import run_here
from keras_bld.base.optional import import_optional
from keras_bld.base.packing import pack_codes
from keras_bld.data.code_shards import store_header, write_code_shards
from keras_bld.data.loader import reading

IMAGES_PER_SHARD = 8192


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
    engine=run_here,
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
        engine: of `open_engine`; where images are read and encoded. On other machines `source` and
            `encode` are pickled.

    Returns:
        The finished `CodeStore`.

    Raises:
        ValueError: codes of another shape or not binary, a folder that holds another store, or an
            argument out of range.
        UnreadableImageError: an image of the source. What was encoded until then is of use only if
            the image is repaired to the very bytes it had; a call with other images (say, of an
            `ImageFolder` with on_error="skip") takes the folder over.
        ImportError: grain or array_record is not installed.

    Example:
        >>> store = write_code_store(
        ...     "codes", source, autoencoder.encode, (16, 16, 32), "sha256 of the autoencoder"
        ... )  # doctest: +SKIP
    """
    import_optional("grain", "data")
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    if not isinstance(autoencoder_fingerprint, str) or not autoencoder_fingerprint:
        raise checks.error(
            "autoencoder_fingerprint",
            repr(autoencoder_fingerprint),
            "a string that identifies the autoencoder",
            "pass for example the sha256 of its config and weights",
        )
    header = store_header(
        code_shape=code_shape,
        num_images=len(source),
        num_shards=-(-len(source) // IMAGES_PER_SHARD) if num_shards is None else num_shards,
        class_names=source.class_names,
        has_flips=flip,
        autoencoder_fingerprint=autoencoder_fingerprint,
        source_fingerprint=source.fingerprint(),
    )
    code_shape = tuple(header["code_shape"])
    work = _Encoded(source, encode, code_shape, flip, batch_size, num_threads)
    return write_code_shards(
        path, header, work, num_shards is None, on_progress, batch_size, engine
    )


@dataclasses.dataclass
class _Encoded:
    """Bulk work: labels and packed codes of the images of a source."""

    source: Any
    encode: Callable
    code_shape: tuple[int, int, int]
    flip: bool
    batch_size: int
    num_threads: int | None

    def __call__(self, start, stop):
        grain = import_optional("grain", "data")
        read_options = reading(grain, self.num_threads, 2 * self.batch_size)
        images = grain.MapDataset.source(self.source)[start:stop]
        for batch in images.to_iter_dataset(read_options).batch(self.batch_size):
            versions = [batch["image"]]
            if self.flip:
                versions.append(batch["image"][:, :, ::-1])
            codes = [
                pack_codes(_encode(self.encode, part, self.code_shape, self.batch_size))
                for part in versions
            ]
            yield batch["label"], codes


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
