import types

import numpy as np
import pytest
from PIL import Image

from keras_bld.commands import trained_on
from keras_bld.commands.trained_on import conditions_for, data_set_of, open_splits
from keras_bld.text import Wordings

pytestmark = pytest.mark.once
# File -> caption. The captions of one folder show different things.
CAPTIONS = {
    "train/fruit/1.png": "a red apple",
    "train/fruit/2.png": "a pear",
    "train/milk/1.png": "a carton",
    "val/fruit/3.png": "a red apple",
    "val/fruit/4.png": "a pear",
    "val/milk/2.png": "oat milk",
}
# The classes of training, in another order than the captions have now.
TRAINED = ("oat milk", "a red apple", "a carton", "a pear")


def encode(texts):
    return np.array([[len(text), sum(map(ord, text))] for text in texts], "float32")


@pytest.fixture
def photos(tmp_path):
    for path in CAPTIONS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / path)
    lines = ["file,caption", *(",".join(pair) for pair in CAPTIONS.items())]
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def metadata(photos, monkeypatch):
    monkeypatch.setattr("keras_bld.text.label_conditions.sentence_encoder", {"counts": encode}.get)
    texts = [[f"{text} in a shop", f"one more time: {text}"] for text in TRAINED]
    folders = ("milk", "fruit", "milk", "fruit")
    record = {"name": "folder", "place": str(photos), "class_folders": True}
    return {
        "text_encoder": "counts",
        "wordings": Wordings(texts, encode, class_names=folders).get_config(),
        "captions": list(TRAINED),
        "trained_on": {**record, "captions": "captions.csv", "caption_column": "caption"},
    }


def text_model():
    denoiser = types.SimpleNamespace(condition_kind="token", num_classes=None, text_width=2)
    return types.SimpleNamespace(denoiser=denoiser)


def test_every_image_is_measured_with_its_own_caption(photos, metadata):
    sources = open_splits(data_set_of(metadata), metadata, (4, 4, 3))
    for split, source in sources.items():
        conditions = conditions_for(text_model(), metadata, sources["train"], seed=0)
        found = conditions.trained([item["label"] for item in source])
        captions = [text for path, text in CAPTIONS.items() if path.startswith(split[:5])]
        captions = captions or [text for path, text in CAPTIONS.items() if path.startswith("val")]
        for row, caption in zip(found.tolist(), captions, strict=True):
            own = encode([f"{caption} in a shop", f"one more time: {caption}"]).tolist()
            assert row in own
        assert source.shown_classes[source.labels].tolist() == source.folder.labels.tolist()


def test_without_the_captions_no_image_gets_one(photos, metadata, capsys):
    (photos / "captions.csv").unlink()
    sources = open_splits(data_set_of(metadata), metadata, (4, 4, 3))
    assert "note: no captions" in capsys.readouterr().out
    assert sources["held_out"].class_names == ("fruit", "milk")
    conditions = conditions_for(text_model(), metadata, sources["train"], seed=0)
    assert conditions.trained([0, 1]) is None and conditions.num_classes == 2


def test_what_learns_from_a_preset_gets_all_its_wordings(photos, metadata, monkeypatch):
    model = text_model()
    model.autoencoder = types.SimpleNamespace(image_shape=(4, 4, 3))
    monkeypatch.setattr(trained_on, "read_metadata", lambda preset: metadata)
    monkeypatch.setattr(trained_on, "load_image_model", lambda preset: model)
    lengths = set()
    for seed in range(8):
        _, _, images, conditions = trained_on.open_with_images("preset", None, None, 3, seed)
        assert images.shape == (3, 4, 4, 3) and set(conditions) == {"text_embeddings"}
        lengths |= set(conditions["text_embeddings"][:, 0].tolist())
    captions = {text for path, text in CAPTIONS.items() if path.startswith("train")}
    assert lengths == {len(f"{text} in a shop") for text in captions} | {
        len(f"one more time: {text}") for text in captions
    }
