import json

import numpy as np
import pytest
from harness import to_numpy

from keras_bld.__main__ import main
from keras_bld.commands.publish import without_places
from keras_bld.diffusion import Sampling
from keras_bld.presets import locate
from keras_bld.presets.training_parts import with_parts
from keras_bld.zoo import list_presets, load_preset, read_metadata, save_preset
from keras_bld.zoo import shipped as shipped_weights

pytestmark = pytest.mark.once


@pytest.fixture
def trained(model, tmp_path):
    metadata = {
        "recipe": "tiny",
        "command": "python recipes/tiny.py",
        "data": "shapes, CC0-1.0",
        "settings": {"seed": 0, "sampling": {"num_steps": 3}},
        "last_logs": {"loss": 1.0},
        "trained_on": {"name": "fashion_mnist", "place": "../clothes", "held_out": "test"},
        "class_names": ["low", "middle", "high"],
        "origins": {"denoiser_preset": {"preset": "bld_older", "training_steps": 5}},
    }
    model.sampling = Sampling(3, guidance_scale=2.0)
    return save_preset(model, tmp_path / "run" / "preset", metadata)


@pytest.mark.parametrize("shipped", [True, False])
def test_a_published_preset_loads_by_its_name(model, trained, tmp_path, monkeypatch, shipped):
    folder = tmp_path / "presets"
    words = ["publish", str(trained), "--name", "bld_tiny", "--licence", "CC0-1.0"]
    if shipped:
        monkeypatch.setattr(shipped_weights, "SHIPPED", folder)
        monkeypatch.setattr(locate, "FOLDERS", [folder])
    else:
        monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, str(folder))
        words += ["--folder", str(folder)]
    main(
        [*words, "--metric", "CAS 0.9", "--data-name", "tfds:fashion_mnist", "--temperature", "1.2"]
    )
    metadata = read_metadata("bld_tiny")
    assert metadata["command"] == "python recipes/tiny.py"
    assert metadata["data"] == "shapes, CC0-1.0" and metadata["weights_dtype"] == "float16"
    # The same images from where everyone can have them.
    assert metadata["trained_on"]["name"] == "tfds:fashion_mnist"
    assert metadata["trained_on"]["held_out"] == "test" and "place" not in metadata["trained_on"]
    assert metadata["class_names"] == ["low", "middle", "high"]
    assert metadata["settings"] == {"seed": 0}  # how it samples is part of the model
    assert metadata["origins"]["denoiser_preset"]["training_steps"] == 5
    assert metadata["trained_with"]["keras_bld"] and "last_logs" not in metadata
    [row] = [row for row in list_presets() if row.name == "bld_tiny"]
    assert row.has_weights and row.licence == "CC0-1.0" and row.metric == "CAS 0.9"
    again = load_preset("bld_tiny")
    assert again.sampling == Sampling(3, guidance_scale=2.0, temperature=1.2)
    for ours, theirs in zip(again.denoiser.weights, model.denoiser.weights, strict=True):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-3, atol=1e-6)
    sizes = [(path / "model.weights.h5").stat().st_size for path in (folder / "bld_tiny", trained)]
    assert sizes[0] < sizes[1]


def test_an_autoencoder_has_no_settings_of_a_sampler(model, tmp_path):
    metadata = {"settings": {"seed": 0, "temperature": 0.9}}
    trained = save_preset(model.autoencoder, tmp_path / "preset", metadata)
    words = ["publish", str(trained), "--name", "bae_tiny", "--folder", str(tmp_path / "presets")]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--guidance-scale", "0"])
    assert "`guidance_scale`: received 0.0 for a BinaryAutoencoder" in str(caught.value.code)
    assert not (tmp_path / "presets").exists()
    main(words)
    assert read_metadata(tmp_path / "presets" / "bae_tiny")["settings"] == {"seed": 0}


def test_what_was_trained_in_bfloat16_loads_in_float32(model, tmp_path):
    """Processors without bfloat16 imitate it, several times as slow."""
    half = load_preset(save_preset(model, tmp_path / "full"), dtype="mixed_bfloat16")
    trained = save_preset(half, tmp_path / "preset")
    assert load_preset(trained).denoiser.compute_dtype == "bfloat16"
    main(["publish", str(trained), "--name", "bld_tiny", "--folder", str(tmp_path / "presets")])
    published = load_preset(tmp_path / "presets" / "bld_tiny")
    for network in (published.denoiser, published.autoencoder.encoder):
        assert network.compute_dtype == "float32"


def test_the_folder_of_the_data_is_not_published(model, tmp_path):
    command = "python recipes/photos.py --data-dir '/home/me/my photos' --seed 1"
    trained_on = {"name": "folder", "place": "/home/me/my photos", "held_out": "validation"}
    told = {"trained_on": trained_on, "command": command}
    metadata = {
        **told,
        "settings": {"data_dir": "/home/me/my photos", "seed": 0},
        "origins": {"autoencoder_preset": {"preset": "older", **told}},
    }
    trained = save_preset(model, tmp_path / "preset", metadata)
    main(["publish", str(trained), "--name", "bld_tiny", "--folder", str(tmp_path / "presets")])
    published = read_metadata(tmp_path / "presets" / "bld_tiny")
    assert "/home" not in json.dumps(published)
    assert published["trained_on"] == {"name": "folder", "held_out": "validation"}
    assert published["command"] == "python recipes/photos.py --data-dir FOLDER --seed 1"


def test_no_path_of_the_machine_that_trained_is_published():
    command = (
        "python /home/me/recipes/photos.py --data-dir photos --work-dir=/home/me/run --seed 1 "
        "--autoencoder-preset runs/secret/preset --denoiser-preset bld_older --codes store "
        "--evaluation-network ~/nets/x.keras --smoke"
    )
    told = {
        "command": command,
        "text_encoder": "/home/me/encoder",
        "class_names": ["a/b"],
        "trained_on": {
            "name": "tfds:lsun/bedroom",
            "place": "photos",
            "captions": "/home/me/c.csv",
        },
        "settings": {"denoiser_preset": "../secret", "codes": "store", "captions": "C:\\me\\c.csv"},
        "distilled": {"teacher_preset": "runs/secret/preset", "seed": 1},
        "finetuned_decoder": {"preset": "bld_older", "seed": 2},
    }
    origin = {"preset": "/home/me/runs/secret/preset", "training_steps": 5, **told}
    published = without_places({**told, "origins": {"autoencoder_preset": origin}})
    told = {key: value for key, value in published.items() if key != "origins"}
    assert told == {
        "command": "python photos.py --data-dir FOLDER --work-dir=FOLDER --seed 1 "
        "--autoencoder-preset FOLDER --denoiser-preset bld_older --codes store "
        "--evaluation-network FOLDER --smoke",
        "class_names": ["a/b"],
        "trained_on": {"name": "tfds:lsun/bedroom"},
        "settings": {"codes": "store"},
        "distilled": {"seed": 1},
        "finetuned_decoder": {"preset": "bld_older", "seed": 2},
    }
    assert published["origins"] == {"autoencoder_preset": {"training_steps": 5, **told}}


def test_a_name_of_other_data_is_refused(trained):
    with pytest.raises(SystemExit) as caught:
        main(["publish", str(trained), "--name", "bld_tiny", "--data-name", "tfds:cifar10"])
    assert "a model that was trained on 'fashion_mnist'" in str(caught.value.code)


def test_generate_takes_the_settings_of_the_preset(trained, tmp_path):
    main(["generate", str(trained), "--num-images", "2", "--out-dir", str(tmp_path / "made")])
    settings = json.loads((tmp_path / "made" / "settings.json").read_text())
    assert (settings["num_steps"], settings["guidance_scale"]) == (3, 2.0)
    assert settings["temperature"] == 0.9


def test_a_name_is_no_path(trained):
    with pytest.raises(SystemExit) as caught:
        main(["publish", str(trained), "--name", "../elsewhere"])
    assert "`name`: received '../elsewhere'" in str(caught.value.code)


def with_other_weights(model, part):
    """A diffusion whose autoencoder has other weights in one part, as after more training."""
    autoencoder = type(model.autoencoder).from_config(model.autoencoder.get_config())
    autoencoder.set_weights(model.autoencoder.get_weights())
    layer = getattr(autoencoder, part)
    layer.set_weights([values + 0.5 for values in layer.get_weights()])
    return with_parts(model, autoencoder=autoencoder)


def assert_float16_of(loaded, layer):
    for ours, theirs in zip(loaded.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs.astype("float16").astype("float32"))


def test_a_student_shares_the_autoencoder(model, trained, tmp_path, capsys):
    folder = tmp_path / "presets"
    main(["publish", str(trained), "--name", "teacher", "--folder", str(folder)])
    student = load_preset(trained)
    student.denoiser.set_weights([values + 0.5 for values in student.denoiser.get_weights()])
    student.sampling = Sampling(2)
    save_preset(student, tmp_path / "student")
    words = ["publish", str(tmp_path / "student"), "--name", "few", "--folder", str(folder)]
    main([*words, "--shares-autoencoder-with", "teacher"])
    assert "MiB, and the autoencoder of teacher" in capsys.readouterr().out
    assert "../teacher/model.weights.h5" in read_metadata(folder / "few")["files"]
    loaded = load_preset(folder / "few")
    assert loaded.sampling == Sampling(2)
    assert_float16_of(loaded, student)
    # In place, twice; and back again to one of its own.
    words = ["publish", str(folder / "few"), "--name", "few", "--folder", str(folder)]
    main([*words, "--shares-autoencoder-with", "teacher"])
    main(words)
    assert len(read_metadata(folder / "few")["files"]) == 2
    assert_float16_of(load_preset(folder / "few"), student)


def test_it_takes_a_decoder_that_was_trained_on(model, trained, tmp_path):
    folder = tmp_path / "presets"
    tuned = with_other_weights(model, "decoder")
    save_preset(tuned, tmp_path / "tuned")
    main(["publish", str(tmp_path / "tuned"), "--name", "tuned", "--folder", str(folder)])
    words = ["publish", str(trained), "--name", "other", "--folder", str(folder)]
    main([*words, "--shares-autoencoder-with", "tuned"])
    loaded = load_preset(folder / "other")
    assert_float16_of(loaded.autoencoder.decoder, tuned.autoencoder.decoder)
    assert_float16_of(loaded.denoiser, model.denoiser)
    assert loaded.sampling == Sampling(3, guidance_scale=2.0)


@pytest.mark.parametrize("part", ["encoder", "code_logits"])
def test_it_takes_no_encoder_that_makes_other_codes(model, trained, tmp_path, part):
    folder = tmp_path / "presets"
    save_preset(with_other_weights(model, part), folder / "other", dtype="float16")
    words = ["publish", str(trained), "--name", "mine", "--folder", str(folder)]
    for name, message in (
        ("other", "'other', whose encoder makes other codes"),
        ("nothing", "'nothing', and no preset at"),
        ("../presets/other", "'../presets/other'; expected the name"),
        ("mine", "'mine', the preset itself"),
    ):
        with pytest.raises(SystemExit) as caught:
            main([*words, "--shares-autoencoder-with", name])
        assert f"`shares_autoencoder_with`: received {message}" in str(caught.value.code)
    alone = save_preset(model.autoencoder, tmp_path / "alone")
    with pytest.raises(SystemExit) as caught:
        main(
            ["publish", str(alone), "--name", "mine", "--folder", str(folder)]
            + ["--shares-autoencoder-with", "other"]
        )
    assert "without an autoencoder beside it" in str(caught.value.code)
    assert [path.name for path in folder.iterdir()] == ["other"]
