"""The code store, read: bit-packed codes, of a data set or generated, in ArrayRecord shards.

A store is a folder with `header.json` and shards `codes-00000-of-00004.array_record`. Record i of
the shards laid end to end belongs to image i, so the order of the images does not depend on how
many shards there are. A record is the label (int32, little end first; -1 for none), the packed
code, and, where flips are stored, the packed code of the mirrored image.
"""

import math
import pathlib
import threading

import numpy as np

from keras_bld.base import checks
from keras_bld.base.json_files import FLAG, TEXT, exactly, list_of, none_or, read_json, whole
from keras_bld.base.optional import import_optional
from keras_bld.base.packing import packed_shape, unpack_codes
from keras_bld.base.random import resolve_seed
from keras_bld.data.loader import check_batches, epochs, reading, take_rows

HEADER = "header.json"
FORMAT = "keras_bld code store, version 1"
LABEL_TYPE = np.dtype("<i4")
# What stands in the header; what else decides the codes is compared and never computed with.
_FIELDS = {
    "format": exactly(FORMAT),
    "complete": FLAG,
    "code_shape": list_of(whole(1, 2**20), 3),
    "num_images": whole(1, 2**40),
    "num_shards": whole(1, 2**20),
    "num_classes": none_or(whole(1)),
    "class_names": list_of(TEXT),
    "has_flips": FLAG,
    "autoencoder_fingerprint": none_or(TEXT),
}
_FIELDS_IF_THERE = {"shard_bytes": list_of(whole()), "unreadable": TEXT}


class CodeStore:
    """A finished store of codes; `write_code_store` and `generate_to_store` write them.

    Args:
        path: folder of the store.
        autoencoder_fingerprint: fingerprint of the autoencoder that will decode; None takes the
            store of whatever autoencoder.

    Attributes:
        header: dict, the contents of `header.json`.
        code_shape: (height, width, channels) of a code.
        packed_shape: (height, width, bytes) of a packed code.
        num_classes: number of classes, or None.
        class_names: tuple of str.
        has_flips: whether there is a code of each mirrored image.

    Raises:
        FileNotFoundError: no store there, or its encoding was interrupted.
        ValueError: the store of another autoencoder, or a shard that is missing or damaged.
        ImportError: `array_record` is not installed.

    Example:
        >>> store = CodeStore("runs/churches/codes", fingerprint)  # doctest: +SKIP
        >>> steps = len(store) // 32  # doctest: +SKIP
        >>> model.fit(store.batches(32), steps_per_epoch=steps, shuffle=False)  # doctest: +SKIP
    """

    def __init__(self, path, autoencoder_fingerprint=None):
        self._array_record = import_array_record()
        self.path = pathlib.Path(path)
        self.header = read_header(self.path)
        if not self.header["complete"]:
            raise FileNotFoundError(
                f"The code store `{self.path}` is not finished. Fix: run what wrote it again; "
                "it goes on where it stopped."
            )
        if autoencoder_fingerprint not in (None, self.header["autoencoder_fingerprint"]):
            raise checks.error(
                "autoencoder_fingerprint",
                f"{autoencoder_fingerprint!r} for `{self.path}`, which was encoded by the "
                f"autoencoder {self.header['autoencoder_fingerprint']!r}",
                "the store of this very autoencoder",
                "encode the data set with this autoencoder into another folder, or load the "
                "autoencoder that the store was made with",
            )
        self.code_shape = tuple(self.header["code_shape"])
        self.packed_shape = packed_shape(self.code_shape)
        self.class_names = tuple(self.header["class_names"])
        self.has_flips = self.header["has_flips"]
        self._record_bytes = _record_bytes(self.header)
        _check_sizes(self.path, self.header, self._record_bytes)
        self._starts = shard_starts(self.header["num_images"], self.header["num_shards"])
        self._readers = [None] * self.header["num_shards"]
        self._lock = threading.Lock()
        for shard, size in enumerate(self.header["shard_bytes"]):
            file = self.path / shard_name(shard, self.header["num_shards"])
            if not file.is_file() or file.stat().st_size != size:
                raise _damaged(file, f"missing or not the {size} bytes that were written")

    @property
    def num_classes(self):
        """Number of classes, or None for a store without labels."""
        return len(self.class_names) or None

    def __len__(self):
        return self.header["num_images"]

    def __getitem__(self, index):
        """Return {"code": packed uint8, "label": int}, and "flipped_code" where it is stored."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} codes")
        codes, labels = self._read([int(index) % len(self)])
        item = {"code": codes[0, 0], "label": int(labels[0])}
        if self.has_flips:
            item["flipped_code"] = codes[0, 1]
        return item

    def read(self, indices, flipped=False):
        """Return many codes at once.

        Args:
            indices: integers in [0, len(store)), at least one.
            flipped: bool, or one bool for each index: whether to read the mirrored image's code.

        Returns:
            packed: uint8 of shape (len(indices), *packed_shape).
            labels: int32 of shape (len(indices),); -1 without labels.

        Raises:
            ValueError: indices out of range, or flips that the store does not have.
        """
        indices = np.asarray(indices)
        if indices.ndim != 1 or not indices.size or indices.min() < 0 or indices.max() >= len(self):
            raise checks.error(
                "indices",
                f"shape {indices.shape}, {indices.size} values",
                f"a list of one or more integers in [0, {len(self)})",
                "pass indices of the store's images",
            )
        flipped = np.broadcast_to(flipped, indices.shape).astype("int64")
        if flipped.any() and not self.has_flips:
            raise checks.error(
                "flipped",
                "True for a store without mirrored images",
                "False",
                "write the store with flip=True",
            )
        codes, labels = self._read(indices.tolist())
        return codes[np.arange(len(indices)), flipped], labels

    def batches(
        self,
        batch_size,
        seed=0,
        labels=False,
        shuffle=True,
        random_flip=None,
        repeat=True,
        start_batch=0,
        num_threads=None,
        prefetch_batches=8,
        condition=None,
        named=False,
        rows=None,
    ):
        """Return batches of packed codes as a `grain.IterDataset`, which `fit` accepts.

        What a batch holds depends on (seed, number of the batch) alone, and so not on the number
        of shards.

        Args:
            batch_size: codes in a batch.
            seed: int in [0, 2**31), or None for an arbitrary one.
            labels: whether batches are (codes, labels) or codes alone.
            shuffle: whether each epoch has an order of its own.
            random_flip: whether to take the mirrored image's code with probability 1/2; by
                default if the store has them and `repeat` is True.
            repeat: True for epochs without end of len(store) // batch_size whole batches; False
                for one pass, the last batch smaller.
            start_batch: number of the first batch, to go on after an interruption.
            num_threads: threads that read; by default one for each core, at most 16.
            prefetch_batches: batches that are read ahead.
            condition: callable (labels (batch,), `numpy.random.Generator` of this batch) -> what
                takes the labels' place, such as embeddings of texts; needs `labels=True`.
            named: whether codes come as {"packed_codes": codes}, which `fit` of a model whose
                images have the same shape (f = 1) takes for nothing else.
            rows: see `image_batches`.

        Returns:
            A `grain.IterDataset` of uint8 packed codes (batch, *packed_shape), or of tuples with
            int32 labels (batch,), or with what `condition` makes of them.

        Raises:
            ValueError: sizes out of range, labels of a store without, or a `condition` for
                batches without labels.
        """
        grain = import_optional("grain", "data")
        check_batches(self, "store", batch_size, labels, repeat)
        if condition is not None and not labels:
            raise checks.error(
                "condition", "a callable, with labels=False", "labels=True", "pass labels=True"
            )
        start_batch = checks.check_integer("start_batch", start_batch, 0)
        if random_flip is None:
            random_flip = self.has_flips and repeat

        def read(indices, generator):
            flipped = np.zeros(len(indices), bool)
            if random_flip:
                flipped = generator.random(len(indices)) < 0.5
            if rows is not None and condition is None:
                indices, flipped = indices[rows], flipped[rows]
            codes, code_labels = self.read(indices, flipped)
            if condition is not None:  # drawn for whole batches
                code_labels = condition(code_labels, generator)
                if rows is not None:
                    codes, code_labels = take_rows((codes, code_labels), rows)
            codes = {"packed_codes": codes} if named else codes
            return (codes, code_labels) if labels else codes

        # Indices are shuffled and batched, and then read together: one call for each shard.
        seed = resolve_seed(seed)
        indices = grain.MapDataset.range(len(self))
        dataset = epochs(grain, indices, batch_size, seed if shuffle else None, repeat)
        dataset = dataset.seed(seed).batch(batch_size).random_map(read)
        return dataset[start_batch:].to_iter_dataset(reading(grain, num_threads, prefetch_batches))

    def decoded_batches(self, decode, batch_size=32, labels=False):
        """Iterate over the images of all codes in order, in constant memory.

        Args:
            decode: callable from codes float32 {0, 1} (batch, *code_shape) to images, such as the
                autoencoder's `decode`.
            batch_size: images in a batch; the last one may be smaller.
            labels: whether to give (images, labels) or images alone.

        Returns:
            An iterator of what `decode` returns, which the functions of `keras_bld.metrics`
            accept for images, or of tuples with int32 labels (batch,).

        Raises:
            ValueError: a batch size below 1, or labels of a store without.

        Example:
            >>> images = store.decoded_batches(model.autoencoder.decode)  # doctest: +SKIP
            >>> statistics = feature_statistics(images, inception_fid())  # doctest: +SKIP
        """
        check_batches(self, "store", batch_size, labels, repeat=False)
        return self._decoded_batches(decode, batch_size, labels)

    def _decoded_batches(self, decode, batch_size, labels):
        for start in range(0, len(self), batch_size):
            packed, numbers = self.read(np.arange(start, min(start + batch_size, len(self))))
            images = decode(unpack_codes(packed, self.code_shape[-1]))
            yield (images, numbers) if labels else images

    def _read(self, indices):
        """Return codes (count, versions, *packed_shape) and labels (count,)."""
        shards = np.searchsorted(self._starts, indices, side="right") - 1
        records = [b""] * len(indices)
        for shard in np.unique(shards):
            places = np.flatnonzero(shards == shard)
            inside = [int(indices[place] - self._starts[shard]) for place in places]
            for place, record in zip(places, self._read_shard(shard, inside), strict=True):
                records[place] = record
        content = np.frombuffer(b"".join(records), "uint8").reshape(len(indices), -1)
        labels = content[:, : LABEL_TYPE.itemsize].copy().view(LABEL_TYPE)[:, 0]
        most = self.num_classes or np.iinfo(LABEL_TYPE).max
        wrong = np.flatnonzero((labels < -1) | (labels >= most))
        if wrong.size:
            file = self.path / shard_name(int(shards[wrong[0]]), len(self._readers))
            raise _damaged(file, f"damaged (the label {labels[wrong[0]]} for {most} classes)")
        codes = content[:, LABEL_TYPE.itemsize :]
        return codes.reshape(len(indices), -1, *self.packed_shape), labels.astype("int32")

    def _read_shard(self, shard, inside):
        """The records with these numbers in a shard."""
        file = self.path / shard_name(int(shard), len(self._readers))
        with checks.as_error(lambda reason: _damaged(file, f"damaged ({reason})")):
            records = self._reader(shard).read(inside)
            if any(len(record) != self._record_bytes for record in records):
                raise ValueError(f"codes of other sizes than {self._record_bytes} bytes")
        return records

    def _reader(self, shard):
        with self._lock:
            if self._readers[shard] is None:
                file = self.path / shard_name(int(shard), len(self._readers))
                # Read-ahead is for reading in order; here every record is a jump.
                reader = self._array_record.ArrayRecordReader(
                    str(file), options="readahead_buffer_size:0", file_reader_buffer_size=32768
                )
                stop = [*self._starts, len(self)][shard + 1]
                if reader.num_records() != stop - self._starts[shard]:
                    raise ValueError(f"{reader.num_records()} codes")
                self._readers[shard] = reader
            return self._readers[shard]


def import_array_record():
    """Return the module that reads and writes ArrayRecord files."""
    return import_optional("array_record.python.array_record_module", "data")


def shard_name(shard, num_shards):
    """File name of a shard."""
    return f"codes-{shard:05d}-of-{num_shards:05d}.array_record"


def shard_starts(num_images, num_shards):
    """Index of the first image of each shard; sizes differ by one at most."""
    return [shard * num_images // num_shards for shard in range(num_shards)]


def read_header(path):
    """Return the header of the store at `path`, finished or not."""
    file = pathlib.Path(path) / HEADER
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no code store in `{path}` (no `{HEADER}`). Fix: write one with "
            "`keras-bld encode`, or `generate --out-store`, or correct the path."
        )
    header = read_json(
        file,
        "path",
        f"format {FORMAT!r}",
        "copy the store again, or delete it and write it anew",
        _FIELDS,
        _FIELDS_IF_THERE,
    )
    num_classes = len(header["class_names"]) or None
    if header["num_shards"] > header["num_images"] or header["num_classes"] != num_classes:
        raise _damaged(file, "of numbers that contradict each other")
    return header


def _record_bytes(header):
    """Size of the record of one image."""
    versions = 2 if header["has_flips"] else 1
    return LABEL_TYPE.itemsize + versions * math.prod(packed_shape(header["code_shape"]))


def _check_sizes(path, header, record_bytes):
    """Raise ValueError unless the shards have room for the codes that the header claims."""
    sizes = header.get("shard_bytes", [])
    if len(sizes) != header["num_shards"]:
        raise _damaged(path / HEADER, f"of {header['num_shards']} shards and {len(sizes)} sizes")
    # Records are stored uncompressed.
    if sum(sizes) < header["num_images"] * record_bytes:
        claimed = f"{header['num_images']:,} codes of {record_bytes:,} bytes"
        raise _damaged(path / HEADER, f"{claimed} in shards of {sum(sizes):,} bytes")


def _damaged(file, received):
    return checks.error(
        "path",
        f"`{file}`, which is {received}",
        "every file of the store as it was written",
        "copy the store again, or delete the shard and `header.json` and encode again",
    )
