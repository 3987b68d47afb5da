"""Every format from this backend: the matrix of docs/serving.md.

`KERAS_BLD_WRITE_EXPORTS=1` with each backend writes what was seen to docs/results/exports.json;
then `make pages`.
"""

import json
import os

import keras
import numpy as np
import pytest
from harness import PROJECT_ROOT
from small_models import small_autoencoder, small_diffusion

from keras_bld.serving.formats import FORMATS

RECORD = PROJECT_ROOT / "docs" / "results" / "exports.json"
BACKEND = keras.config.backend()
LARGEST_SHARE = 0.01


def different(model, path, **options):
    """Part -> the share of values that differ, from the manifest."""
    written = model.export(path, **options)
    return json.loads((written / "manifest.json").read_text())["different"]


def record_or_compare(format, shares):
    """The row of the matrix for a format on this backend: part -> whether it works."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    row = {part: bool(share <= LARGEST_SHARE) for part, share in shares.items()}
    if os.environ.get("KERAS_BLD_WRITE_EXPORTS"):
        record.setdefault(format, {})[BACKEND] = row
        RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    assert record[format][BACKEND] == row


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_each_format_makes_the_library_s_pictures(format, tmp_path):
    model = small_diffusion(small_autoencoder(), num_classes=3)
    shares = different(
        model, tmp_path / "served", format=format, kappa=0.9, corrector_steps=1, num_steps=3
    )
    record_or_compare(format, shares)
    assert max(shares.values()) <= LARGEST_SHARE


@pytest.mark.slow
@pytest.mark.on_tensorflow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "options, text_length",
    [
        ({"text_width": 6}, None),
        ({"text_width": 6, "text_conditioning": "cross_attention"}, 5),
    ],
    ids=["token", "cross_attention"],
)
def test_texts(format, options, text_length, tmp_path):
    shares = different(
        small_diffusion(**options), tmp_path / "a", format=format, text_length=text_length,
        batch_size=2, final="threshold",
    )  # fmt: skip
    assert shares.keys() == {"generate_codes", "generate_codes, without a condition"}
    assert max(shares.values()) <= LARGEST_SHARE


@pytest.mark.slow
@pytest.mark.on_tensorflow
@pytest.mark.parametrize(
    "format, weights",
    [(name, weights) for name, row in FORMATS.items() for weights in row.weights[1:]],
)
def test_weights_in_fewer_bits(format, weights, tmp_path):
    """The files shrink; pictures of the decoder, one pass of a network, stay near."""
    model = small_autoencoder(base_width=16, embedding_width=32)
    sizes = {}
    for kind in ("float32", weights):
        path = model.export(tmp_path / kind, format=format, weights=kind, verify=False)
        sizes[kind] = sum(json.loads((path / "manifest.json").read_text())["bytes"].values())
    from keras_bld.serving.client import Client

    codes = np.random.default_rng(0).integers(0, 2, (2, 4, 4, 4), "uint8")
    plain, small = (
        Client(tmp_path / kind).decode(codes).astype(int) for kind in ("float32", weights)
    )
    assert abs(plain - small).mean() < 3.0  # levels of 256
    assert (plain != small).any() and sizes[weights] < sizes["float32"]
