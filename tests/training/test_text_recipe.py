"""A recipe whose model is conditioned on text, from training to the commands around its preset."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from harness import write_class_folders
from PIL import Image

import keras_bld
from keras_bld.__main__ import main
from keras_bld.data import ArraySource
from keras_bld.diffusion import Sampling
from keras_bld.text import Wordings
from keras_bld.training import Recipe, Runner
from keras_bld.zoo import read_metadata

# tests/text trains on texts on every backend, and test_runner runs a recipe.
pytestmark = pytest.mark.once
NAMES = ("bottom", "middle", "top")


def positions(texts):
    """An encoder of words: what an image of this class looks like, and how long the text is."""
    return np.array(
        [[*(4.0 * (name in text) for name in NAMES), 0.01 * len(text)] for text in texts]
    )


def bars(num_images, seed):
    labels = np.arange(num_images) % 3
    images = np.random.default_rng(seed).integers(0, 30, (num_images, 16, 16, 1), dtype="uint8")
    for image, label in zip(images, labels, strict=True):
        image[5 * (2 - label) : 5 * (2 - label) + 6] += 220
    return images, labels


@dataclass(frozen=True)
class Bars(Recipe):
    """A bright bar at one of three heights, asked for in words."""

    name = "bars"
    text_encoder = "positions"
    image_size: int = 16
    image_channels: int = 1
    random_flip: bool = False
    width_multipliers: tuple[int, ...] = (1, 1)
    base_width: int = 8
    num_groups: int = 2
    num_blocks: int = 1
    embedding_width: int = 8
    code_channels: int = 4
    attention_resolutions: tuple[int, ...] = ()
    perceptual: str = "none"
    adversarial_weight: float = 0.0
    autoencoder_steps: int = 3
    depth: int = 1
    width: int = 16
    num_heads: int = 2
    num_training_steps: int = 4
    diffusion_steps: int = 3
    diffusion_batch_size: int = 8
    steps_per_epoch: int = 3
    sampling: Sampling = Sampling(num_steps=2, guidance_scale=1.0)
    sheet_columns: int = 2
    num_evaluation_images: int = 21
    evaluation_epochs: int = 1
    export_batch_size: int = 1

    def source(self, split):
        """Thirty images for either split."""
        return ArraySource(*bars(30, 0 if split == "train" else 1), NAMES)

    def wordings(self):
        """Two wordings for training, one for evaluation."""
        return Wordings(
            [[f"a bar at the {name}", f"{name} bar"] for name in NAMES],
            positions,
            [[f"{name}, bright"] for name in NAMES],
            NAMES,
        )


@dataclass(frozen=True)
class BarsByClass(Bars):
    """The same images by class."""

    name = "bars_by_class"
    class_conditional: bool = True

    def wordings(self):
        """No texts."""
        return None


@pytest.fixture(scope="module")
def by_class(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by_class")
    for stage in ("autoencoder", "diffusion"):
        Runner(BarsByClass(work_dir=str(folder), stage=stage)).run()
    return folder


@pytest.fixture(scope="module")
def recipe(by_class, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("bars"))
    preset = str(by_class / "preset")
    return Bars(work_dir=folder, autoencoder_preset=preset, denoiser_preset=preset)


@pytest.fixture(scope="module")
def finished(recipe):
    Runner(replace(recipe, stage="diffusion")).run()  # takes the preset's stage 1 by itself
    Runner(recipe).run()
    return recipe.folder


def test_the_run_leaves_its_pictures_and_scores(by_class, finished):
    metrics = json.loads((finished / "metrics.json").read_text())["metrics"]
    assert metrics["recognised_as_asked"]["num_samples"] == 21
    assert metrics["recognised_without_condition"]["num_samples"] == 5
    assert metrics["retrieved_among_5"]["num_samples"] == 21
    assert 0 < metrics["likelihood_bits_per_dimension"]["value"] < 5
    for name in ("samples", "denoising", "inpainting", "loss_curves"):
        assert np.asarray(Image.open(finished / f"{name}.png")).std() > 0
    metadata = read_metadata(finished / "preset")
    assert metadata["text_encoder"] == "positions"
    assert metadata["wordings"]["unseen"] == [[f"{name}, bright"] for name in NAMES]
    origin = read_metadata(by_class / "preset")
    for field in ("autoencoder_preset", "denoiser_preset"):
        assert metadata["origins"][field] == {
            "preset": str(by_class / "preset"),
            **{key: origin[key] for key in ("command", "training_steps", "files")},
        }
    model = keras_bld.load_preset(finished / "preset")
    assert model.denoiser.condition_kind == "token" and model.denoiser.text_width == 4


def test_stage_1_is_the_preset_s(by_class, recipe, finished, capsys):
    images, _ = bars(4, 7)
    codes = [
        keras_bld.load_preset(folder / "preset").autoencoder.encode(images)
        for folder in (by_class, finished)
    ]
    np.testing.assert_array_equal(*codes)
    assert not (finished / "autoencoder" / "history.csv").exists()
    Runner(replace(recipe, stage="autoencoder")).run()
    assert "nothing to train" in capsys.readouterr().out


def test_stage_2_begins_with_the_other_denoiser(by_class, recipe, tmp_path):
    learning_nothing = replace(
        recipe, work_dir=str(tmp_path), diffusion_learning_rate=0.0, diffusion_ema_momentum=0.0
    )
    for stage in ("autoencoder", "diffusion"):
        Runner(replace(learning_nothing, stage=stage)).run()
    made, wanted = (
        keras_bld.load_preset(folder / "preset").generate_codes(2, drop_condition=True, seed=0)
        for folder in (tmp_path, by_class)
    )
    assert np.mean(made != wanted) < 1e-2


def test_an_autoencoder_of_another_size_is_refused(recipe, tmp_path):
    other = replace(recipe, work_dir=str(tmp_path), stage="autoencoder", code_channels=5)
    with pytest.raises(ValueError, match=r"code_shape \(8, 8, 4\).*\(8, 8, 5\)"):
        Runner(other).run()


def test_codes_on_the_fly_take_no_texts(recipe, tmp_path):
    other = replace(recipe, work_dir=str(tmp_path), codes="on_the_fly")
    Runner(replace(other, stage="autoencoder")).run()
    with pytest.raises(ValueError, match="conditioned on text"):
        Runner(replace(other, stage="diffusion")).run()


def test_the_commands_ask_in_the_words_of_training(finished, tmp_path, monkeypatch):
    encoders = {"positions": positions}
    monkeypatch.setattr("keras_bld.text.label_conditions.sentence_encoder", encoders.get)
    sheet = ["--num-images", "4", "--out"]
    main(["generate", str(finished / "preset"), *sheet, str(tmp_path / "default.png")])
    texts = [f"a bar at the {name}" for name in NAMES]
    main(["generate", str(finished / "preset"), "--prompt", *texts, *sheet,
          str(tmp_path / "asked.png")])  # fmt: skip
    default, asked = (Image.open(tmp_path / f"{name}.png") for name in ("default", "asked"))
    np.testing.assert_array_equal(np.asarray(default), np.asarray(asked))
    splits = {"train": bars(30, 0), "val": bars(30, 1)}
    write_class_folders(tmp_path / "data", splits, NAMES)
    small = ["--num-images", "21", "--network", "domain", "--network-epochs", "1"]
    small += ["--num-likelihood-images", "4"]
    command = ["evaluate", str(finished / "preset"), "--data", str(tmp_path / "data"), *small]
    main([*command, "--classifier-epochs", "1", "--out", str(tmp_path / "card")])
    metrics = json.loads((tmp_path / "card" / "card.json").read_text())["metrics"]
    assert metrics["recognised_without_condition"]["note"] == "chance is 0.33"
    assert metrics["recognised_without_condition"]["num_samples"] == 5
    assert metrics["recognised_as_asked"]["num_samples"] == 21
    assert "classification_accuracy_score_top_1" in metrics
    main([*command, "--sweep-guidance-scale", "0", "2", "--out", str(tmp_path / "sweep")])
    sweep = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert len(sweep["rows"]) == 2


def test_a_data_set_of_other_classes_is_refused(finished, tmp_path, monkeypatch):
    encoders = {"positions": positions}
    monkeypatch.setattr("keras_bld.text.label_conditions.sentence_encoder", encoders.get)
    splits = {"train": bars(2, 0), "val": bars(1, 1)}
    write_class_folders(tmp_path / "data", splits, ("upright", "sideways", "upright"))
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", str(finished / "preset"), "--data", str(tmp_path / "data"),
              "--out", str(tmp_path / "out")])  # fmt: skip
    assert "sideways" in str(caught.value.code)


def test_dry_run_says_that_stage_1_is_taken(recipe, capsys):
    Runner(replace(recipe, dry_run=True)).run()
    printed = capsys.readouterr().out
    assert "nothing to train" in printed and "autoencoder: 3 steps" not in printed
