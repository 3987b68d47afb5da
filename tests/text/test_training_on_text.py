import keras
import numpy as np
import pytest

import keras_bld
from keras_bld.data import ArraySource, write_code_store
from keras_bld.text import Wordings

pytest.importorskip("grain")
pytest.importorskip("array_record")

CODE_SHAPE = (2, 2, 8)
TEXTS = [["dark", "black"], ["bright", "white"]]
UNSEEN = [["night"], ["day"]]


def meaning(texts):
    """An encoder to which all words of one class mean nearly the same."""
    dark = {"dark", "black", "night"}
    return np.array(
        [
            [1.0, -1.0, 0.01 * len(text)] if text in dark else [-1.0, 1.0, 0.01 * len(text)]
            for text in texts
        ]
    )


def test_a_model_learns_what_texts_mean(tmp_path):
    labels = np.arange(64) % 2
    images = (labels[:, None, None, None] * np.full((1, 4, 4, 1), 255)).astype("uint8")
    source = ArraySource(images, labels, ("dark", "bright"))
    store = write_code_store(
        tmp_path / "codes",
        source,
        lambda images: np.broadcast_to(images[:, :1, :1] > 127, (len(images), *CODE_SHAPE)),
        CODE_SHAPE,
        "no autoencoder",
    )
    wordings = Wordings(TEXTS, meaning, UNSEEN)
    keras.utils.set_random_seed(0)
    model = keras_bld.BinaryLatentDiffusion(
        keras_bld.BernoulliDenoiser(CODE_SHAPE, 1, 16, 2, 8, text_width=wordings.width),
        keras_bld.BernoulliNoiseSchedule(8),
    )
    model.compile(keras.optimizers.Adam(1e-2))
    batches = store.batches(32, seed=0, labels=True, condition=wordings.draw)
    model.fit(batches, steps_per_epoch=200, epochs=1, shuffle=False, verbose=0)

    asked = np.arange(20) % 2
    texts = wordings.draw_unseen(asked, np.random.default_rng(0))
    codes = model.generate_codes(20, text_embeddings=texts, num_steps=4, seed=0)
    share_of_ones = codes.mean(axis=(1, 2, 3))
    assert share_of_ones[asked == 1].mean() > 0.9 > 0.1 > share_of_ones[asked == 0].mean()
