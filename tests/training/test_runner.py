import json
import shutil
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
from PIL import Image

import keras_bld
from keras_bld.base import backend, processor
from keras_bld.data import ArraySource, ImageSource
from keras_bld.diffusion import Sampling
from keras_bld.training import Recipe, Runner, main, models, runner
from keras_bld.training.work_folder import has_results


@dataclass(frozen=True)
class Squares(Recipe):
    """Bright squares in two places: two classes of tiny images."""

    name = "squares"
    smoke: bool = True
    image_size: int = 16
    image_channels: int = 1
    class_conditional: bool = True
    width_multipliers: tuple[int, ...] = (1, 2)
    attention_resolutions: tuple[int, ...] = ()
    adversarial_weight: float = 0.0

    def source(self, split):
        """Forty images for either split."""
        labels = np.arange(40) % 2
        images = np.random.default_rng(0).integers(0, 40, (40, 16, 16, 1), dtype="uint8")
        images[labels == 0, :8, :8] += 200
        images[labels == 1, 8:, 8:] += 200
        return ArraySource(images, labels, ("top", "bottom"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares")
    Runner(Squares(work_dir=str(folder))).run()
    return folder


def test_all_stages_leave_their_files(finished):
    names = {path.name for path in finished.iterdir() if not path.name.startswith(".")}
    expected = {
        "recipe.json",
        "autoencoder",
        "codes",
        "diffusion",
        "preset",
        "samples.png",
        "reconstructions.png",
        "denoising.png",
        "inpainting.png",
        "loss_curves.png",
        "metrics.json",
        "evaluation",
    }
    if keras.backend.backend() == "tensorflow":
        expected.add("saved_model")
    assert names == expected
    assert list((finished / "diffusion" / "logs").rglob("events*"))
    for name in ("samples", "reconstructions", "denoising", "inpainting", "loss_curves"):
        assert np.asarray(Image.open(finished / f"{name}.png")).std() > 0


def test_the_metrics_are_the_evaluation_card(finished):
    card = json.loads((finished / "metrics.json").read_text())
    assert card["preset"]["name"] == "squares" and "--stage evaluate" in card["command"]
    assert card["model"]["bits_per_image"] == 8 * 8 * 16 and card["real"]["num_images"] == 40
    assert card["settings"]["num_images"] == 32
    assert card["settings"]["sampling"]["num_steps"] == 4
    values = {name: entry["value"] for name, entry in card["metrics"].items()}
    assert 5 < values["reconstruction_psnr_db"] < 40
    assert 0.2 < values["likelihood_bits_per_dimension"] < 3
    assert 0 <= values["classification_accuracy_score_top_1"] <= 1
    assert values["accuracy_of_real_top_1"] >= 0.5 and values["frechet_distance"] > 0
    steps = [
        card["metrics"][name]["note"].split("images, ")[1]
        for name in ("classification_accuracy_score_top_1", "accuracy_of_real_top_1")
    ]
    assert steps[0] == steps[1] == "2 steps, 1 seeds"  # of 32 of the 40 training images
    assert (
        "| classification accuracy score top 1 |" in (finished / "evaluation/card.md").read_text()
    )
    assert not (finished / "evaluation" / "card.json").exists()
    # All held-out images of these squares are training images; 32 were looked at.
    assert values["held_out_duplicates"] == 32


@pytest.mark.once
def test_one_held_out_image_is_too_few_for_scores(
    capsys, monkeypatch, tmp_path, make_autoencoder, make_diffusion
):
    model = make_diffusion(make_autoencoder())
    source = ArraySource(np.zeros((1, 16, 16, 1), "uint8"), [0], ("top",))
    monkeypatch.setattr(Runner, "_trained_model", lambda self: model)
    monkeypatch.setattr(Runner, "_conditions", lambda self, model: None)
    monkeypatch.setattr(Squares, "source", lambda self, split: source)
    Runner(Squares(work_dir=str(tmp_path))).run_evaluate()
    assert "1 held-out image: no scores, which need 2" in capsys.readouterr().out
    with pytest.raises(ValueError, match="1 held-out images; expected at least 2"):
        Runner(Squares(work_dir=str(tmp_path), stage="evaluate")).run_evaluate()


@pytest.mark.once
def test_a_feature_network_that_cannot_be_used_is_noticed_before_the_training(tmp_path):
    recipe = Squares(work_dir=str(tmp_path / "runs"), evaluation_network="absent.keras")
    with pytest.raises(ValueError, match="evaluation_network.*absent.keras.*no file"):
        Runner(recipe).run()
    assert not (tmp_path / "runs").exists()


def test_run_again_says_that_it_is_finished(finished, capsys):
    recipe = Squares(work_dir=str(finished))
    before = (finished / "preset" / "model.weights.h5").stat().st_mtime_ns
    Runner(replace(recipe, stage="autoencoder")).run()
    Runner(replace(recipe, stage="diffusion")).run()
    assert capsys.readouterr().out.count("nothing to train") == 2
    assert (finished / "preset" / "model.weights.h5").stat().st_mtime_ns == before


def test_run_again_keeps_pictures_until_a_setting_changes(finished, capsys):
    before = (finished / "samples.png").stat().st_mtime_ns
    Runner(Squares(work_dir=str(finished))).run()
    assert capsys.readouterr().out.count("the results of stage") == 2
    assert (finished / "samples.png").stat().st_mtime_ns == before
    recipe = Squares(work_dir=str(finished), sampling=Sampling(temperature=0.5))
    assert not has_results(Runner(recipe).recipe, "sample")


def test_a_folder_of_other_settings_is_refused(finished):
    with pytest.raises(ValueError, match=r"seed=5 \(there: 0\)"):
        Runner(Squares(work_dir=str(finished), seed=5)).run()
    assert json.loads((finished / "recipe.json").read_text())["seed"] == 0


def test_stage_2_may_be_planned_anew_until_it_begins(tmp_path, capsys):
    first = Squares(work_dir=str(tmp_path), stage="autoencoder")
    Runner(first).run()
    Runner(replace(first, vlb_weight=0.5)).run()
    assert "nothing to train" in capsys.readouterr().out
    (tmp_path / "diffusion").mkdir()
    with pytest.raises(ValueError, match="vlb_weight"):
        Runner(first).run()


def test_the_preset_is_the_model_of_the_pictures(finished):
    model = keras_bld.load_preset(finished / "preset")
    assert model.code_shape == (8, 8, 16) and model.denoiser.num_classes == 2
    images = model.generate(2, labels=["top", "bottom"], num_steps=2, seed=0)
    assert images.shape == (2, 16, 16, 1)
    assert model.get_config()["class_names"] == ["top", "bottom"]


def test_the_preset_knows_its_classes_but_not_where_such_images_come_from(finished):
    """What the recipe's own `source` reads is described by no `DataSet`."""
    metadata = keras_bld.zoo.read_metadata(finished / "preset")
    assert metadata["class_names"] == ["top", "bottom"]
    assert "trained_on" not in metadata


def test_images_without_classes_are_refused_before_anything_is_trained(tmp_path, monkeypatch):
    images = ArraySource(np.zeros((40, 16, 16, 1), "uint8"))
    monkeypatch.setattr(Squares, "source", lambda self, split: images)
    recipe = Squares(work_dir=str(tmp_path), stage="autoencoder")
    with pytest.raises(ValueError, match="pass class_conditional=False, or sort the images"):
        Runner(recipe).run()
    assert not (tmp_path / "autoencoder").exists()


def test_an_autoencoder_of_crops_reads_whole_images(tmp_path, monkeypatch):
    trained, enlarge = [], models.enlarge_autoencoder
    monkeypatch.setattr(
        models,
        "enlarge_autoencoder",
        lambda recipe, model: trained.append(model) or enlarge(recipe, model),
    )
    recipe = Squares(
        work_dir=str(tmp_path), stage="autoencoder", autoencoder_crop_size=8,
        attention_resolutions=(8,), adversarial_weight=1.0,
    )  # fmt: skip
    Runner(recipe).run()
    assert trained[0].image_shape == (8, 8, 1)
    enlarged = keras_bld.load_preset(tmp_path / "autoencoder" / "preset")
    assert enlarged.image_shape == (16, 16, 1) and enlarged.code_shape == (8, 8, 16)
    for whole, crop in zip(enlarged.encoder.weights, trained[0].encoder.weights, strict=True):
        np.testing.assert_allclose(whole, crop)
    for whole, crop in zip(enlarged.decoder.weights, trained[0].decoder.weights, strict=True):
        np.testing.assert_allclose(whole, crop)


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("computes", [True, False, None])
@pytest.mark.parametrize("on_cpu", [True, False])
def test_what_is_said_of_bfloat16(on_cpu, computes, mixed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(processor, "computes_bfloat16", lambda: computes)
    monkeypatch.setattr(backend, "runs_on_cpu", lambda: on_cpu)
    monkeypatch.setattr(Runner, "run_autoencoder", lambda self: None)
    options = {"stage": "autoencoder", "smoke": False, "mixed_precision": mixed}
    Runner(Squares(work_dir=str(tmp_path), **options)).run()
    said = capsys.readouterr().out
    warned = mixed and on_cpu and computes is False
    assert ("WARNING: this processor has no bfloat16" in said) is warned
    on_torch = keras.backend.backend() == "torch"
    suggested = not mixed and (not on_cpu or (on_torch and computes is True))
    assert ("train faster with mixed_precision=True" in said) is suggested


def test_a_run_goes_on_after_a_setting_was_added(tmp_path, monkeypatch):
    monkeypatch.setattr(Runner, "run_autoencoder", lambda self: None)
    recipe = Squares(work_dir=str(tmp_path), stage="autoencoder")
    Runner(recipe).run()
    settings = json.loads((tmp_path / "recipe.json").read_text())
    del settings["autoencoder_crop_size"]
    (tmp_path / "recipe.json").write_text(json.dumps(settings))
    Runner(recipe).run()
    with pytest.raises(ValueError, match=r"autoencoder_crop_size=8 \(there: 0\)"):
        Runner(replace(recipe, autoencoder_crop_size=8)).run()


def test_a_stage_before_its_time_says_what_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="stage=.autoencoder"):
        Runner(Squares(work_dir=str(tmp_path), stage="diffusion")).run()


@pytest.mark.once
@pytest.mark.parametrize(("image_size", "batch_size"), [(64, 32), (256, 32), (1024, 2)])
def test_large_images_are_encoded_few_at_a_time(image_size, batch_size, monkeypatch):
    """The activations of 32 images of 1024 x 1024 do not fit into memory."""
    batches = []

    class Autoencoder:
        code_shape = (8, 8, 16)

        def encode(self, images, batch_size):
            batches.append(batch_size)

    def write(*arguments, batch_size, **options):
        arguments[2](None)
        batches.append(batch_size)

    monkeypatch.setattr(runner, "write_code_store", write)
    monkeypatch.setattr(runner, "CodeStore", lambda *arguments: None)
    monkeypatch.setattr(runner, "autoencoder_fingerprint", lambda autoencoder: "its sha256")
    Runner(Squares(smoke=False, image_size=image_size))._code_batches(Autoencoder())
    assert batches == [batch_size, batch_size]


@pytest.mark.once
@pytest.mark.once
@pytest.mark.parametrize("codes", ["store", "on_the_fly"])
def test_stage_2_learns_every_shift_and_stage_1_the_images(codes, tmp_path, monkeypatch):
    asked = []

    def seen(*arguments, **options):
        asked.extend(len(part) for part in arguments if isinstance(part, ImageSource))
        raise InterruptedError

    for name in ("image_batches", "write_code_store"):
        monkeypatch.setattr(runner, name, seen)
    shifted = Runner(Squares(work_dir=str(tmp_path), shift=1, codes=codes))
    autoencoder = models.build_autoencoder(shifted.recipe)
    for read in (
        lambda: shifted._image_batches("autoencoder", False, 0),
        lambda: shifted._code_batches(autoencoder)(0),
    ):
        with pytest.raises(InterruptedError):
            read()
    assert asked == [40, 9 * 40]


def test_unknown_fields_are_errors(capsys):
    with pytest.raises(SystemExit):
        main(Squares, ["--number-of-layers", "3"])
    assert "number-of-layers" in capsys.readouterr().err


@pytest.mark.once
def test_dry_run_describes_and_writes_nothing(tmp_path, capsys):
    main(Squares, ["--dry-run", "--work-dir", str(tmp_path / "new")])
    printed = capsys.readouterr().out
    for part in ("code_channels = 16", "8 x 8 x 16 = 1024 bits", "denoiser: ", "GiB"):
        assert part in printed
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("stage", ["autoencoder", "diffusion", "sample", "evaluate"])
def test_a_damaged_preset_of_the_run_is_named_and_what_to_do(stage, finished, tmp_path):
    name = "autoencoder/preset" if stage == "autoencoder" else "preset"
    shutil.copytree(finished / name, tmp_path / name)
    shutil.copy(finished / "recipe.json", tmp_path)
    file = "metadata.json" if stage in ("autoencoder", "diffusion") else "model.weights.h5"
    (tmp_path / name / file).write_bytes(b"")
    message = f"{tmp_path / name}, which is damaged.*Fix: delete the folder {tmp_path / name}"
    with pytest.raises(ValueError, match=message):
        Runner(Squares(work_dir=str(tmp_path), stage=stage)).run()
