import dataclasses
import json
from dataclasses import dataclass

import pytest
from PIL import Image

from keras_bld.base.run_lock import only_run_in
from keras_bld.training import Recipe, main, runner, work_folder

pytestmark = pytest.mark.once


@dataclass(frozen=True)
class Photos(Recipe):
    """The smallest recipe of a folder."""

    name = "photos"
    smoke: bool = True
    image_size: int = 8
    width_multipliers: tuple[int, ...] = (1, 2)
    attention_resolutions: tuple[int, ...] = ()


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(9):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def run(photos, *words):
    with pytest.raises(SystemExit) as ended:
        main(Photos, ["--data-dir", str(photos), "--work-dir", str(photos.parent / "run"), *words])
    return str(ended.value)


def interrupted(photos, capsys, *words):
    """The last line of a run that ends by a signal, without its command, and the code."""
    code = int(run(photos, *words))
    line, _, command = capsys.readouterr().err.rpartition(": python recipes/photos.py ")
    assert command.startswith(f"--data-dir {photos} --work-dir ")
    return line, code


def test_without_a_folder_nothing_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(runner.models, "build_autoencoder", None)
    with pytest.raises(SystemExit, match="^error: Invalid `data`: received no folder.* --data-dir"):
        main(Photos, ["--work-dir", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()
    message = run(tmp_path / "photos")
    assert message.startswith("error: Invalid `data`") and "which is no folder" in message


def test_what_cannot_be_read_may_be_left_out_of_a_run_that_has_begun(photos, monkeypatch, capsys):
    read = []

    def read_all(model, batches, folder, num_steps, *_, **__):
        dataset = iter(batches(0))
        for _ in range(num_steps):
            read.append(next(dataset))
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "fit_recipe", read_all)
    for number in range(1, 9):  # whichever is held out
        (photos / f"{number}.png").write_bytes(b"")
    (photos / "x.png").write_bytes((photos / "0.png").read_bytes())
    monkeypatch.setattr(Photos, "shrunk", lambda recipe: recipe)
    words = ["--no-smoke", "--base-width", "8", "--embedding-width", "8", "--num-groups", "4"]
    words += ["--autoencoder-batch-size", "1", "--perceptual", "none", "--adversarial-weight", "0"]
    words += ["--autoencoder-steps", "4", "--steps-per-epoch", "2"]
    message = run(photos, *words)
    assert message.startswith("error: Cannot read image") and "with --on-error skip" in message
    assert not read
    line = "interrupted; the same command goes on from step 0 of stage autoencoder"
    assert interrupted(photos, capsys, *words, "--on-error", "skip") == (line, 130)
    assert len(read) == 4
    recipe = json.loads((photos.parent / "run" / "recipe.json").read_text())
    assert recipe["on_error"] == "skip"


def test_settings_that_are_not_given_are_those_of_the_run(photos, monkeypatch, capsys):
    """The second command says what differs, and is refused where it contradicts."""
    recipes = []

    def claim(self):
        work_folder.claim(self.recipe)
        recipes.append(self.recipe)

    monkeypatch.setattr(runner.Runner, "run", claim)
    here = ["--work-dir", str(photos.parent / "run")]
    words = ["--data-dir", str(photos), "--width", "16", "--random-flip", "--num-steps", "3"]
    main(Photos, [*here, *words, "--autoencoder-crop-size", "4", "--seed", "5"])
    assert capsys.readouterr().out == ""
    main(Photos, [*here, "--stage", "sample", "--guidance-scale", "2"])
    assert "settings that are not given are those of the run" in capsys.readouterr().out
    first, second = recipes
    assert second.sampling == first.sampling.replace(guidance_scale=2.0)
    assert second == dataclasses.replace(first, stage="sample", sampling=second.sampling)
    with pytest.raises(SystemExit, match=r"--seed 6 \(there: 5\).*or leave those settings out"):
        main(Photos, [*here, "--seed=6"])
    (photos.parent / "run" / "recipe.json").write_text('{"name": "photos", "seed": "many"}')
    with pytest.raises(SystemExit, match=r"error: .*recipe\.json \(seed is 'many'\)"):
        main(Photos, here)


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({}, "step 0 of stage autoencoder"),
        ({"autoencoder/checkpoint/000001234.checkpoint.zip"}, "step 1,234 of stage autoencoder"),
        ({"autoencoder/preset/metadata.json"}, "step 0 of stage diffusion"),
        (
            {
                "autoencoder/preset/metadata.json",
                "diffusion/checkpoint/000000006.checkpoint.zip",
            },
            "step 6 of stage diffusion",
        ),
        (
            {"autoencoder/preset/metadata.json", "preset/metadata.json"},
            "the stages whose results are missing",
        ),
    ],
)
def test_an_interruption_says_where_the_same_command_goes_on(
    files, where, photos, monkeypatch, capsys
):
    def interrupt(_):
        for file in files:
            path = photos.parent / "run" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Runner, "run", interrupt)
    line = f"interrupted; the same command goes on from {where}"
    assert interrupted(photos, capsys) == (line, 130)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_garbled_file_of_settings_is_named_and_what_to_do(content, photos):
    (photos.parent / "run").mkdir()
    path = photos.parent / "run" / "recipe.json"
    path.write_text(content)
    assert run(photos).startswith(f"error: Invalid `work_dir`: received `{path}`: ")
    assert run(photos).endswith("Fix: delete the file, or pass --work-dir NEW_FOLDER.")


def test_a_second_run_in_a_work_directory_says_who_runs_there(photos):
    with only_run_in(photos.parent / "run"):
        message = run(photos)
    assert message.startswith("error: Invalid `work_dir`") and "in which process" in message
