from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_bld.data import ArraySource
from keras_bld.evaluation import networks
from keras_bld.training import Recipe, scoring

pytestmark = pytest.mark.once

RECIPE = Recipe(image_size=16, smoke=True)


def images(count, labels=True):
    return ArraySource(np.zeros((count, 4, 4), "uint8"), np.arange(count) % 2 if labels else None)


def test_the_card_of_a_recipe_has_distances_where_it_can(capsys, monkeypatch):
    def network(train, held_out, **settings):
        return scoring.evaluation_network(replace(RECIPE, **settings), train, held_out)

    assert network(images(10), images(10)) == "domain"
    assert network(images(10, labels=False), images(10, labels=False)) == "none"
    assert network(images(9), images(9), evaluation_network="inception") == "inception"
    for train, held_out, what in (
        (10, 9, "9 held-out images"),
        (9, 10, "9 training images"),
        (9, 1, "1 held-out image"),
    ):
        assert network(images(train), images(held_out)) == "none"
        assert f"{what}: no distances, which need 10" in capsys.readouterr().out
    monkeypatch.setattr(scoring, "default_network", lambda: "efficientnet_lite")
    without = images(10, labels=False)
    assert network(without, without, smoke=False) == "efficientnet_lite"


@pytest.mark.parametrize(
    ("word", "train", "held_out", "message"),
    [
        ("inception", images(9), images(10), "'inception' with 9 training images.*\"none\""),
        ("domain", images(20), images(1), "'domain' with 1 held-out image;"),
        ("domain", images(20, labels=False), images(20), "evaluation_network.*without classes"),
        ("absent.pth", images(20), images(20), "evaluation_network.*absent.pth.*no file"),
        ("other.pth", images(20), images(20), "evaluation_network.*other.pth with sha256"),
        ("NoSuchNetwork", images(20), images(20), r"evaluation_network.*keras\.applications"),
    ],
)
def test_networks_that_could_not_be_used(word, train, held_out, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.pth").write_bytes(b"other weights")
    recipe = replace(RECIPE, evaluation_network=word)
    with pytest.raises(ValueError, match=message):
        scoring.check_evaluation_network(recipe, train, held_out)
    scoring.check_evaluation_network(replace(recipe, stage="diffusion"), train, held_out)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(networks, "PACKAGE", "a_package_that_nobody_has")
    recipe = replace(RECIPE, evaluation_network="efficientnet_lite")
    with pytest.raises(ImportError, match="perceptual"):
        scoring.check_evaluation_network(recipe, images(20), images(20))


def test_weights_that_cannot_be_fetched_are_noticed_before_the_training(monkeypatch):
    def get_file(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    recipe = replace(RECIPE, evaluation_network="inception")
    with pytest.raises(ValueError, match="evaluation_network.*no network.*FILE.pth"):
        scoring.check_evaluation_network(recipe, images(20), images(20))


def test_networks_that_can_be_used(monkeypatch):
    monkeypatch.setattr(networks, "inception_weights", lambda **_: None)  # fetches 96 MB
    for word in (None, "none", "domain", "inception", "ResNet50"):
        recipe = replace(RECIPE, evaluation_network=word)
        scoring.check_evaluation_network(recipe, images(10), images(10))
    few = replace(RECIPE, evaluation_network="none")
    scoring.check_evaluation_network(few, images(1), images(1))


def test_a_smoke_run_scores_fewer_images():
    source = ArraySource(np.zeros((80, 4, 4), "uint8"))
    assert len(scoring.scored_images(RECIPE, source)) == 64
    assert len(scoring.scored_images(replace(RECIPE, image_size=256), source)) == 16
    assert scoring.scored_images(replace(RECIPE, smoke=False), source) is source


def test_too_few_for_scores():
    assert scoring.too_few_for_scores(images(2), images(2)) is None
    assert scoring.too_few_for_scores(images(1), images(2)) == "1 training image"
