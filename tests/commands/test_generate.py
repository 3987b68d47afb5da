import json

import numpy as np
import pytest
from PIL import Image
from small_models import small_autoencoder

from keras_bld.__main__ import main
from keras_bld.commands.generated import claim_images
from keras_bld.data import CodeStore
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.presets.fingerprint import autoencoder_fingerprint
from keras_bld.zoo import save_preset

pytestmark = pytest.mark.usefixtures("numpy_initial_weights")
once = pytest.mark.once


@pytest.fixture(scope="module")
def models(numpy_initial_weights):
    """Three small models with one autoencoder: "classes" (of 3), "plain" and "text"."""
    autoencoder = small_autoencoder()
    made = {"autoencoder": autoencoder}
    kinds = {"classes": {"num_classes": 3}, "plain": {}, "text": {"text_width": 8}}
    for name, condition in kinds.items():
        denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=4, **condition)
        made[name] = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)
    return made


@pytest.fixture(scope="module")
def presets(models, tmp_path_factory):
    """A directory with the models as presets."""
    folder = tmp_path_factory.mktemp("presets")
    for name, model in models.items():
        save_preset(model, folder / name)
    return folder


def generate(*arguments):
    main(["generate", *map(str, arguments)])


def refusal(*arguments):
    """The message with which the command ends."""
    with pytest.raises(SystemExit) as caught:
        generate(*arguments)
    return str(caught.value.code)


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def expected(model, num_images, labels=None, **options):
    options = {"num_steps": 4, "seed": 0, **options}
    return np.round(model.generate(num_images, labels=labels, **options) * 255).astype(int)


def test_the_sheet_has_a_column_for_each_class(models, presets, tmp_path, capsys):
    generate(presets / "classes", "--num-images", 7, "--out", tmp_path / "new" / "sheet.png")
    images = expected(models["classes"], 7, np.arange(7) % 3)
    sheet = pixels(tmp_path / "new" / "sheet.png")
    # 8 pixels, six times enlarged, and 2 between: rows of three, the last of one.
    assert sheet.shape == (3 * 50 + 2, 3 * 50 + 2, 3)
    for number, image in enumerate(images):
        top, left = 2 + number // 3 * 50, 2 + number % 3 * 50
        cell = sheet[top : top + 48, left : left + 48]
        assert np.abs(cell - image.repeat(6, axis=0).repeat(6, axis=1)).max() <= 1
    assert (sheet[102:, 52:] == 255).all()
    assert "7 images in" in capsys.readouterr().out


def test_classes_by_name(models, tmp_path):
    save_preset(models["classes"], tmp_path / "named", {"class_names": ["cat", "dog", "2"]})
    command = (tmp_path / "named", "--num-images", 3, "--out")
    generate(*command, tmp_path / "names.png", "--labels", "dog", "0", "2")
    generate(*command, tmp_path / "numbers.png", "--labels", 1, 0, 2)
    np.testing.assert_array_equal(pixels(tmp_path / "names.png"), pixels(tmp_path / "numbers.png"))
    message = refusal(*command, tmp_path / "none.png", "--labels", "dgo")
    assert "received 'dgo'; expected one of 3 class names, such as 'dog'" in message


def test_one_file_an_image_and_only_those_that_are_missing(models, presets, tmp_path, capsys):
    command = (presets / "classes", "--out-dir", tmp_path, "--batch-size", 2, "--seed", 5)
    command += ("--kappa", 0.8, "--corrector-steps", 1)
    generate(*command, "--num-images", 5)
    files = [tmp_path / f"{number:06d}.png" for number in range(7)]
    assert sorted(tmp_path.iterdir()) == [*files[:5], tmp_path / "settings.json"]
    content = [file.read_bytes() for file in files[:5]]
    kept = files[1].stat().st_mtime_ns
    files[0].unlink()
    files[3].write_bytes(content[3][:-20])  # cut off
    capsys.readouterr()
    generate(*command, "--num-images", 7)
    printed = capsys.readouterr().out
    assert "3 images were there already" in printed and "4 images in" in printed
    assert [file.read_bytes() for file in files[:5]] == content
    assert files[1].stat().st_mtime_ns == kept
    made = np.stack([pixels(file) for file in files])
    corrections = {"kappa": 0.8, "corrector_steps": 1}
    wanted = expected(models["classes"], 7, np.arange(7) % 3, seed=5, **corrections)
    assert np.abs(made - wanted).max() <= 1
    assert made.std(axis=0).max() > 1  # not all the same


def test_openvino_makes_the_same_images(presets, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    precisions = []
    compile_for_inference = BinaryLatentDiffusion.compile_for_inference

    def spy(model, target, precision):
        precisions.append(precision)
        fast = compile_for_inference(model, target, precision)
        assert fast
        return fast

    monkeypatch.setattr(BinaryLatentDiffusion, "compile_for_inference", spy)
    command = (presets / "classes", "--num-images", 3, "--out-dir", tmp_path / "plain")
    generate(*command)
    assert not precisions
    command = (*command[:-1], tmp_path / "fast", "--inference-target", "openvino")
    generate(*command, "--inference-precision", "float32")
    assert precisions == ["float32"]
    names = [f"{number:06d}.png" for number in range(3)]
    for name in names:
        plain, fast = (pixels(tmp_path / folder / name) for folder in ("plain", "fast"))
        assert np.abs(plain - fast).max() <= 1
    # Images of another precision may differ: one folder holds those of one.
    assert "inference=" in refusal(*command) and precisions == ["float32", "bfloat16"]


def test_a_store_of_codes_decodes_to_the_same_images(models, presets, tmp_path, capsys):
    pytest.importorskip("array_record")
    command = (presets / "classes", "--num-images", 7, "--out-store", tmp_path, "--seed", 5)
    generate(*command)
    assert "7 images in" in capsys.readouterr().out
    store = CodeStore(tmp_path, autoencoder_fingerprint(models["autoencoder"]))
    decode = models["classes"].autoencoder.decode
    batches = list(store.decoded_batches(decode, batch_size=4, labels=True))
    assert np.concatenate([labels for _, labels in batches]).tolist() == [0, 1, 2, 0, 1, 2, 0]
    made = np.round(255 * np.concatenate([images for images, _ in batches])).astype(int)
    assert np.abs(made - expected(models["classes"], 7, np.arange(7) % 3, seed=5)).max() <= 1
    generate(*command)
    assert "7 images were there already" in capsys.readouterr().out
    assert "for seed 6; expected" in refusal(*command[:-1], 6)
    message = refusal(presets / "plain", *command[1:])
    assert "which holds another store" in message and "generator_fingerprint" in message


@once
def test_options_reach_the_sampler(models, presets, tmp_path):
    options = {"num_steps": 2, "temperature": 0.5, "guidance_scale": 3.0, "seed": 9}
    words = [word for name, value in options.items()
             for word in (f"--{name.replace('_', '-')}", value)]  # fmt: skip
    generate(
        presets / "classes", "--num-images", 4, "--labels", 2, 0, "--out-dir", tmp_path, *words
    )
    made = np.stack([pixels(tmp_path / f"{number:06d}.png") for number in range(4)])
    wanted = expected(models["classes"], 4, np.array([2, 0, 2, 0]), **options)
    assert np.abs(made - wanted).max() <= 1


@once
def test_an_unconditional_model_makes_a_square(models, presets, tmp_path):
    generate(presets / "plain", "--num-images", 4, "--out", tmp_path / "sheet.png")
    sheet = pixels(tmp_path / "sheet.png")
    assert sheet.shape == (102, 102, 3)
    first = expected(models["plain"], 4)[0].repeat(6, axis=0).repeat(6, axis=1)
    assert np.abs(sheet[2:50, 2:50] - first).max() <= 1


@once
def test_images_of_other_settings_are_not_mixed(presets, tmp_path):
    command = ("--num-images", 1, "--out-dir", tmp_path)
    generate(presets / "plain", *command)
    before = (tmp_path / "settings.json").read_text()
    assert "seed=3 (there: 0)" in refusal(presets / "plain", *command, "--seed", 3)
    assert "another run: labels" in refusal(presets / "classes", *command)
    assert (tmp_path / "settings.json").read_text() == before
    generate(presets / "plain", *command, "--batch-size", 8)  # speed, not content
    kept = json.loads(before)
    for name in ("kappa", "corrector_steps", "corrector_share", "known_bits", "decoder"):
        del kept[name]  # as an older version left it
    (tmp_path / "settings.json").write_text(json.dumps(kept))
    generate(presets / "plain", *command)
    assert (tmp_path / "settings.json").read_text() == before


def letters(texts):
    """An encoder without weights: how often each of eight letters is in a text."""
    return np.array([[text.count(letter) for letter in "aelmnopr"] for text in texts], "float32")


@pytest.fixture
def text_preset(models, presets, tmp_path, monkeypatch):
    """The text model, published with the name of its encoder."""
    monkeypatch.setattr(
        "keras_bld.text.label_conditions.sentence_encoder", {"letters": letters}.get
    )
    save_preset(models["text"], tmp_path / "from_text", {"text_encoder": "letters"})
    return tmp_path / "from_text"


@once
def test_prompts_are_taken_in_turn(models, text_preset, tmp_path):
    prompts = ("a lemon", "an open melon")
    command = (text_preset, "--num-images", 3, "--guidance-scale", 5.0)
    generate(*command, "--prompt", *prompts, "--out-dir", tmp_path / "images")
    made = np.stack([pixels(tmp_path / f"images/{number:06d}.png") for number in range(3)])
    texts = letters([prompts[0], prompts[1], prompts[0]])
    wanted = expected(models["text"], 3, text_embeddings=texts, guidance_scale=5.0)
    swapped = expected(models["text"], 3, text_embeddings=texts[[1, 0, 1]], guidance_scale=5.0)
    assert (wanted != swapped).any()  # the text matters
    assert np.abs(made - wanted).max() <= 1
    message = refusal(*command, "--prompt", "a lemon", "--out-dir", tmp_path / "images")
    assert "prompt=['a lemon'] (there: ['a lemon', 'an open melon'])" in message
    generate(*command, "--prompt", *prompts, "--out-store", tmp_path / "store")
    decode = models["text"].autoencoder.decode
    (stored,) = CodeStore(tmp_path / "store").decoded_batches(decode, batch_size=4)
    assert np.abs(np.round(stored * 255) - wanted).max() <= 1


@once
def test_an_encoder_of_another_width_is_refused(text_preset, tmp_path, monkeypatch):
    encoders = {"letters": lambda texts: letters(texts)[:, :3]}
    monkeypatch.setattr("keras_bld.text.label_conditions.sentence_encoder", encoders.get)
    message = refusal(text_preset, "--prompt", "a pear", "--out", tmp_path / "a.png")
    assert "one of 3 numbers" in message and "one of 8 numbers" in message


@once
def test_a_folder_without_images_may_be_begun_anew(presets, tmp_path):
    command = (presets / "plain", "--num-images", 1, "--out-dir", tmp_path)
    assert "temperature" in refusal(*command, "--temperature", 0)
    generate(*command)
    assert (tmp_path / "000000.png").is_file()


@once
@pytest.mark.parametrize(
    ("preset", "options", "message"),
    [
        ("plain", (), "received no output"),
        ("plain", ("--out", "a.png", "--out-dir", "b"), "--out and --out-dir"),
        ("plain", ("--out-dir", "a", "--out-store", "b"), "--out-dir and --out-store"),
        ("plain", ("--out", "a.pgn"), "'.png'"),
        ("plain", ("--out", "a.png", "--num-images", "0"), "num_images"),
        ("plain", ("--out", "a.png", "--num-steps", "5"), "[1, 4]"),
        ("plain", ("--out-dir", "b", "--temperature", "0"), "temperature"),
        ("plain", ("--out-dir", "b", "--seed", "-1"), "seed"),
        ("plain", ("--out-store", "b", "--seed", "-1"), "seed"),
        ("plain", ("--out", "a.png", "--labels", "1"), "unconditional"),
        ("classes", ("--out", "a.png", "--labels", "0", "3"), "[0, 2]"),
        ("text", ("--out", "a.png"), "pass --prompt"),
        ("text", ("--out", "a.png", "--labels", "1"), "instead of --labels"),
        ("text", ("--out", "a.png", "--prompt", "a pear"), "`text_encoder` in the preset's"),
        ("classes", ("--out", "a.png", "--prompt", "a pear"), "class-conditional"),
        ("plain", ("--out", "a.png", "--prompt", "a pear"), "unconditional"),
        ("autoencoder", ("--out", "a.png"), "BinaryLatentDiffusion"),
        ("nothing", ("--out", "a.png"), "neither a known name nor a directory"),
    ],
)
def test_bad_input(preset, options, message, presets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = presets / preset if preset != "nothing" else preset
    assert message in refusal(path, *options)
    assert not list(tmp_path.rglob("*.png")) and not list(tmp_path.rglob("header.json"))


@once
def test_what_a_killed_program_left_does_not_claim_the_folder(tmp_path):
    command_of_the_first, other = {"seed": 1}, {"seed": 2}
    (tmp_path / ".partial.0a1b2c3d-1-0a1b2c3d.000000.png").write_bytes(b"")
    (tmp_path / "000001.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    for settings in (command_of_the_first, other):
        claim_images(tmp_path, {}, settings)
    Image.new("L", (2, 2)).save(tmp_path / "000002.png")
    with pytest.raises(ValueError, match="holds images of another run"):
        claim_images(tmp_path, {}, command_of_the_first)
