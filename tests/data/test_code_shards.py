import json
import os

import numpy as np
import pytest

from keras_bld.data import (
    ArraySource,
    UnreadableImageError,
    pack_codes,
    unpack_codes,
    write_code_store,
)
from keras_bld.data.code_shards import store_header, write_code_shards

pytest.importorskip("grain")
pytest.importorskip("array_record")
pytestmark = pytest.mark.once
CODE_SHAPE = (2, 2, 11)
CODES = np.random.default_rng(0).integers(0, 2, (23, *CODE_SHAPE)).astype("float32")


def header(**changes):
    settings = {"code_shape": CODE_SHAPE, "num_images": 23, "num_shards": 4, "class_names": []}
    return store_header(
        **{**settings, "has_flips": False, "autoencoder_fingerprint": "a", **changes}
    )


def batches_of(start, stop):
    for first in range(start, stop, 4):
        codes = CODES[first : min(first + 4, stop)]
        yield np.arange(first, first + len(codes)), [pack_codes(codes)]


class Numbered(ArraySource):
    """Images whose first pixel is their number; those in `unreadable` raise."""

    def __init__(self, numbers, unreadable=()):
        images = np.zeros((len(numbers), 4, 4, 3), "uint8")
        images[:, 0, 0, 0] = numbers
        super().__init__(images)
        self.unreadable = unreadable

    def _read(self, index):
        if self.images[index][0, 0, 0] in self.unreadable:
            raise UnreadableImageError("Cannot read `cut.png`")
        return super()._read(index)


def encode(images):
    bits = np.unpackbits(images.reshape(len(images), -1), axis=1)
    return bits[:, :44].reshape(-1, *CODE_SHAPE)


def write_numbered(path, numbers, unreadable=(), **changes):
    arguments = {"code_shape": CODE_SHAPE, "autoencoder_fingerprint": "a", "num_shards": 4}
    source = Numbered(numbers, unreadable)
    return write_code_store(path, source, encode, **{**arguments, **changes})


def test_codes_of_any_origin_come_back_in_order(tmp_path):
    done = []
    store = write_code_shards(
        tmp_path, header(), batches_of, on_progress=lambda *count: done.append(count)
    )
    packed, labels = store.read(np.arange(23))
    np.testing.assert_array_equal(unpack_codes(packed, 11), CODES)
    assert labels.tolist() == list(range(23))
    assert done[-1] == (23, 23) and len(done) == 8


def test_a_header_without_shards_claims_nothing(tmp_path):
    with pytest.raises(UnreadableImageError):
        write_numbered(tmp_path, range(23), unreadable=[0])
    assert [file.name for file in tmp_path.iterdir()] == ["header.json"]
    store = write_numbered(tmp_path, range(5), code_shape=(2, 2, 11), num_shards=1)
    assert len(store) == 5


def test_a_foreign_header_is_left_alone(tmp_path):
    (tmp_path / "header.json").write_text('{"format": "something else"}')
    with pytest.raises(ValueError, match="header.json`.*expected format"):
        write_code_shards(tmp_path, header(), batches_of)
    assert (tmp_path / "header.json").read_text() == '{"format": "something else"}'


def test_an_unreadable_image_may_be_left_out_afterwards(tmp_path):
    with pytest.raises(UnreadableImageError):
        write_numbered(tmp_path, range(23), unreadable=[17])
    assert len(list(tmp_path.glob("*.array_record"))) == 3  # images 0-4, 5-10 and 11-16
    # Another encoder is no repair.
    readable = [number for number in range(23) if number != 17]
    with pytest.raises(ValueError, match="holds another store, for .*autoencoder_fingerprint 'b'"):
        write_numbered(tmp_path, readable, autoencoder_fingerprint="b")
    store = write_numbered(tmp_path, readable)
    whole = write_numbered(tmp_path / "whole", readable)
    np.testing.assert_equal(list(store), list(whole))
    assert "unreadable" not in store.header


def test_a_repaired_image_lets_the_same_call_go_on(tmp_path):
    with pytest.raises(UnreadableImageError):
        write_numbered(tmp_path, range(23), unreadable=[17])
    first = tmp_path / "codes-00000-of-00004.array_record"
    kept = first.stat().st_mtime_ns
    store = write_numbered(tmp_path, range(23))
    assert len(store) == 23 and first.stat().st_mtime_ns == kept
    assert "unreadable" not in json.loads((tmp_path / "header.json").read_text())
    # What is finished is not taken over.
    with pytest.raises(ValueError, match="holds another store"):
        write_numbered(tmp_path, range(22))


def test_what_decides_the_codes_is_compared(tmp_path):
    write_code_shards(tmp_path, header(temperature=0.9), batches_of)
    with pytest.raises(ValueError, match="for temperature 0.8; expected .* temperature 0.9"):
        write_code_shards(tmp_path, header(temperature=0.8), batches_of)


def test_a_full_disk_says_what_to_do(tmp_path, full_disk):
    packed = np.zeros((1000, 16, 16, 4), "uint8")
    settings = store_header((16, 16, 32), 1000, 1, [], False, autoencoder_fingerprint=None)
    with pytest.raises(OSError, match="where nothing can be written.*Fix: make room"):
        write_code_shards(
            tmp_path / "codes", settings, lambda start, stop: iter([(np.zeros(1000), [packed])])
        )
    assert os.listdir(tmp_path / "codes") == ["header.json"]
