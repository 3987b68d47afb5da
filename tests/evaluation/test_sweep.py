import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from keras_bld.diffusion import Sampling
from keras_bld.diffusion.sampling import AXES
from keras_bld.evaluation import (
    CardSettings,
    evaluate_model,
    sweep_samplers,
    sweep_sheet,
    write_sweep,
)
from keras_bld.evaluation.sweep import _OLDER, _earlier

SETTINGS = CardSettings(
    num_images=24, sampling=Sampling(num_steps=2), num_likelihood_images=4, classifier_epochs=0
)


@pytest.fixture
def sweep(model, train, held_out, network, tmp_path):
    def run(**axes):
        said = []
        rows = sweep_samplers(
            model, train, held_out, network, SETTINGS, folder=tmp_path, say=said.append, **axes
        )
        return rows, said

    return run


def test_a_sweep_has_every_combination_once_and_goes_on(sweep, tmp_path):
    rows, said = sweep(num_steps=(2, 4))
    assert [row["num_steps"] for row in rows] == [2, 4] and len(said) == 2
    rows, said = sweep(num_steps=(2, 4), posterior=("exact", "plug_in"))
    assert len(rows) == 4 and len(said) == 2  # the two of the first call are there
    names = write_sweep(rows, tmp_path)
    assert {"sweep.csv", "figure7.png", "frechet_distance_num_steps_posterior.png"} <= set(names)
    table = list(csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines()))
    assert [row["posterior"] for row in table] == ["exact", "plug_in"] * 2
    value = rows[0]["metrics"]["frechet_distance"]["value"]
    assert float(table[0]["frechet_distance"]) == pytest.approx(value, rel=1e-5)


def test_images_of_another_decoder_are_scored_anew(sweep, model):
    sweep(num_steps=(2,))
    assert sweep(num_steps=(2,))[1] == []
    bias = model.autoencoder.decoder.weights[-1]
    bias.assign(bias + 0.1)
    assert len(sweep(num_steps=(2,))[1]) == 1


def test_every_field_of_the_sampler_can_be_swept(sweep):
    rows, _ = sweep(final=("threshold", "sample"), tempering=("logits", "extrinsic"))
    assert len({row["metrics"]["frechet_distance"]["value"] for row in rows}) == 4
    with pytest.raises(ValueError, match="`axes`: received 'steps'; expected one of 'num_steps'"):
        sweep(steps=(2,))


def test_a_sweep_keeps_time_steps_whose_number_it_does_not_change(model, train, held_out, network):
    def distance(**axes):
        settings = dataclasses.replace(SETTINGS, sampling=Sampling(time_steps=(4, 2)))
        (row,) = sweep_samplers(model, train, held_out, network, settings, **axes)
        assert row["num_steps"] == 2
        return row["metrics"]["frechet_distance"]["value"]

    assert distance(temperature=(0.9,)) == distance()
    other = sweep_samplers(model, train, held_out, network, SETTINGS)  # the uniform grid (4, 1)
    assert distance() != other[0]["metrics"]["frechet_distance"]["value"]


def test_a_sweep_from_before_an_axis_goes_on(tmp_path):
    path = tmp_path / "sweep.json"
    older = {axis: 0 for axis in AXES if axis not in _OLDER}
    row = {**older, "metrics": {"frechet_distance": {"value": 1.0}}}
    path.write_text(json.dumps({"key": {"seed": 0}, "rows": [row]}))
    assert _earlier(path, {"seed": 1}) == []
    assert _earlier(path, {"seed": 0}) == [
        {**row, "kappa": 1.0, "corrector_steps": 0, "corrector_share": 0.3}
    ]


def test_a_sweep_scores_as_the_card_does(sweep, model, train, held_out, network):
    card, _ = evaluate_model(model, train, held_out, network, SETTINGS)
    (row,), _ = sweep(num_steps=(2,))
    for name in ("frechet_distance", "precision", "recognised_as_asked"):
        assert row["metrics"][name]["value"] == pytest.approx(card["metrics"][name]["value"])


def test_a_sweep_compares_distances(model, train, held_out):
    with pytest.raises(ValueError, match="`network`.*--network"):
        sweep_samplers(model, train, held_out, None, SETTINGS)


def test_more_steps_than_the_model_has(sweep):
    with pytest.raises(ValueError, match=r"num_steps.*\[1, 4\]"):
        sweep(num_steps=(8,))


def test_the_sheet_has_a_row_for_each_combination(model, tmp_path):
    own = SETTINGS.sampling.to_dict()
    rows = [{**own, "temperature": temperature} for temperature in (0.5, 2.0)]
    sweep_sheet(model, rows, SETTINGS, tmp_path / "sheet.png")
    picture = np.asarray(Image.open(tmp_path / "sheet.png"), "float32")
    size, scale = model.autoencoder.image_shape[0], 48 // model.autoencoder.image_shape[0]
    cell = size * scale + 2
    assert picture.shape[0] == 2 * cell + 2 and picture.shape[1] > 10 * cell + 2  # labels
    sheet = picture[:, -(10 * cell + 2) :]
    samples = model.generate(
        10, labels=np.arange(10) % model.denoiser.num_classes, num_steps=2, temperature=2.0, seed=0
    )
    second_row = sheet[cell + 2 : cell + 2 + size * scale : scale, 2 : 2 + size * scale : scale]
    np.testing.assert_allclose(
        second_row.reshape(size, size, -1)[..., :1], samples[0][..., :1] * 255, atol=1
    )
    assert not np.array_equal(sheet[2:cell], sheet[cell + 2 : 2 * cell])
