import numpy as np
import pytest

from keras_bld.text import embedding_cache
from keras_bld.text.embedding_cache import EmbeddingCache

pytestmark = pytest.mark.once
TEXTS = ["pear", "an apple", "oat"]


class Encoder:
    """The length of a text, and whatever a version adds; remembers what it was asked."""

    def __init__(self, version=0.0):
        self.version, self.asked = version, []

    def __call__(self, texts):
        self.asked += texts
        return np.array([[len(text), self.version] for text in texts])


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder in which a run has left the embeddings of TEXTS."""
    monkeypatch.setattr(embedding_cache, "_TEXTS_PER_FILE", 2)
    cache = EmbeddingCache(Encoder())
    cache.keep_in(tmp_path / "texts")
    cache(TEXTS)
    return tmp_path / "texts"


def test_each_text_is_encoded_once():
    encoder = Encoder()
    cache = EmbeddingCache(encoder)
    first, second = cache(["pear", "oat", "pear"]), cache(["oat", "fig"])
    assert encoder.asked == ["pear", "oat", "fig"]
    assert first.dtype == np.float32 and first[:, 0].tolist() == [4, 3, 4]
    assert second[:, 0].tolist() == [3, 3]


def test_a_later_run_encodes_only_what_is_new(kept):
    encoder = Encoder()
    cache = EmbeddingCache(encoder)
    cache.keep_in(kept)
    encoder.asked.clear()
    assert cache([*TEXTS, "fig"])[:, 0].tolist() == [4, 8, 3, 3]
    assert encoder.asked == ["fig"]
    cache(["banana"])  # the second new one: a file of their own
    again = EmbeddingCache(Encoder())
    again.keep_in(kept)
    assert set(again._rows) == {*TEXTS, "fig", "banana"}


def test_another_encoder_takes_nothing(kept):
    encoder = Encoder(version=1.0)
    cache = EmbeddingCache(encoder)
    cache.keep_in(kept)
    assert cache(TEXTS)[:, 1].tolist() == [1, 1, 1]


def test_a_compressed_file_could_be_of_any_size_and_is_not_read(kept):
    (file,) = kept.glob("*.npz")
    with np.load(file) as content:
        np.savez_compressed(file, **content)
    encoder = Encoder()
    EmbeddingCache(encoder).keep_in(kept)
    assert encoder.asked == []


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"\x93NUMPY"])
def test_a_damaged_file_is_made_anew(kept, content):
    (file,) = kept.glob("*.npz")
    file.write_bytes(content)
    encoder = Encoder()
    cache = EmbeddingCache(encoder)
    cache.keep_in(kept)
    cache(TEXTS)
    assert encoder.asked == TEXTS and len(list(kept.glob("*.npz"))) == 2
