import json
import shutil

import h5py
import numpy as np
import pytest

from keras_bld.presets import locate
from keras_bld.presets.locate import MissingFileError
from keras_bld.zoo import load_preset, read_metadata, save_preset

WEIGHTS, THERE = "model.weights.h5", "../first/model.weights.h5"


@pytest.fixture
def models(make_autoencoder, make_diffusion):
    """Two diffusions around one autoencoder."""
    autoencoder = make_autoencoder()
    return make_diffusion(autoencoder, num_classes=3), make_diffusion(autoencoder, text_width=6)


@pytest.fixture
def folder(models, tmp_path):
    """A folder of presets; `second` has the autoencoder of `first`."""
    first, second = models
    save_preset(first, tmp_path / "presets" / "first")
    save_preset(second, tmp_path / "presets" / "second", shares_autoencoder_with="first")
    return tmp_path / "presets"


def assert_same_weights(loaded, model):
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_two_come_together_bit_for_bit(folder, models, tmp_path):
    first, second = models
    with h5py.File(folder / "second" / WEIGHTS) as file:
        assert "denoiser" in file and "autoencoder" not in file
    loaded = load_preset(folder / "second")
    assert_same_weights(loaded, second)
    assert_same_weights(load_preset(folder / "first"), first)
    texts = np.ones((2, 6), "float32")
    images = loaded.generate(2, text_embeddings=texts, seed=3)
    expected = second.generate(2, text_embeddings=texts, seed=3)
    np.testing.assert_allclose(images, expected, atol=1e-6)
    metadata = read_metadata(folder / "second")
    assert metadata["num_weights"] == second.count_params()
    assert metadata["files"][THERE]["part"] == "autoencoder"
    # What is loaded and saved is whole again.
    alone = save_preset(loaded, tmp_path / "alone")
    assert sorted(read_metadata(alone)["files"]) == ["config.json", WEIGHTS]
    shutil.rmtree(folder)
    assert_same_weights(load_preset(alone), second)


@pytest.mark.once
def test_a_folder_is_copied_and_found_by_name(folder, models, tmp_path, monkeypatch):
    folder.rename(tmp_path / "elsewhere")
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, str(tmp_path / "elsewhere"))
    assert_same_weights(load_preset("second"), models[1])
    monkeypatch.chdir(tmp_path / "elsewhere" / "second")
    assert_same_weights(load_preset("."), models[1])


@pytest.mark.once
def test_float16_is_shared_as_it_is_stored(models, tmp_path):
    first, second = models
    save_preset(first, tmp_path / "first", dtype="float16")
    with pytest.raises(ValueError, match="a model with another one.* in the dtype of that preset"):
        save_preset(second, tmp_path / "second", shares_autoencoder_with="first")
    again = load_preset(
        second.save_to_preset(tmp_path / "second", dtype="float16", shares_autoencoder_with="first")
    )
    for ours, theirs in zip(again.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs.astype("float16").astype("float32"))
    # These have float16's values: they may lie beside a denoiser in float32.
    save_preset(again, tmp_path / "third", shares_autoencoder_with="first")
    assert_same_weights(load_preset(tmp_path / "third"), again)


@pytest.mark.once
def test_another_denoiser_there_changes_nothing(folder, models, make_diffusion):
    first, second = models
    other = make_diffusion(first.autoencoder, num_classes=5)
    save_preset(other, folder / "first")
    assert_same_weights(load_preset(folder / "second"), second)


@pytest.mark.once
def test_another_autoencoder_there_is_refused(folder, make_autoencoder, make_diffusion):
    before = read_metadata(folder / "second")["files"][THERE]
    save_preset(make_diffusion(make_autoencoder()), folder / "first")
    message = "another one in .*first.*; expected the autoencoder that first had when .* Fix: take"
    with pytest.raises(ValueError, match=message):
        load_preset(folder / "second")
    save_preset(make_diffusion(), folder / "first")  # or none at all
    with pytest.raises(ValueError, match=message):
        load_preset(folder / "second")
    assert read_metadata(folder / "second")["files"][THERE] == before


@pytest.mark.once
@pytest.mark.parametrize("lost", ["first", f"first/{WEIGHTS}", "first/metadata.json"])
def test_a_missing_one_is_named(folder, lost):
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(MissingFileError, match="received .*first.*; expected .* Fix: copy "):
        load_preset(folder / "second")


@pytest.mark.once
@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda content: content[:-1], "bytes where metadata.json says"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "a sha256 that differs"),
    ],
)
def test_a_damaged_one_is_named(folder, damage, message):
    path = folder / "first" / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{message}.*save_preset wrote to .*first.* Fix: "):
        load_preset(folder / "second")


@pytest.mark.once
@pytest.mark.parametrize(
    "name",
    [
        "../../first/model.weights.h5",
        "../../model.weights.h5",
        "../../../etc/passwd",
        "/etc/passwd",
        "../first/../../other/model.weights.h5",
        "../.first/model.weights.h5",
        "../first/other.weights.h5",
        "../first\\..\\x/model.weights.h5",
        "..\\first\\model.weights.h5",
        "..//model.weights.h5",
        "../first/model.weights.h5\n",
        "first/model.weights.h5",
        "other.weights.h5",
    ],
)
def test_no_path_leads_elsewhere(folder, name, monkeypatch):
    path = folder / "second" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["files"][name] = metadata["files"].pop(THERE)
    path.write_text(json.dumps(metadata))
    for read in (load_preset, read_metadata):
        with pytest.raises(ValueError, match="in `files` .* Fix: use a preset from a source"):
            read(folder / "second")


@pytest.mark.once
@pytest.mark.parametrize(
    "record", [None, [], {}, {"part": "denoiser", "sha256": "0"}, {"part": "autoencoder"}]
)
def test_a_record_of_another_kind_is_refused(folder, record):
    path = folder / "second" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["files"][THERE] = record
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="in `files` '../first/model.weights.h5'; expected"):
        load_preset(folder / "second")


@pytest.mark.once
def test_only_one_is_shared(folder):
    path = folder / "second" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["files"]["../third/model.weights.h5"] = metadata["files"][THERE]
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="at most one"):
        load_preset(folder / "second")


@pytest.mark.once
def test_an_autoencoder_too_many_is_refused(folder, models, tmp_path):
    own = read_metadata(save_preset(models[1], tmp_path / "own"))
    shutil.copy(tmp_path / "own" / WEIGHTS, folder / "second" / WEIGHTS)
    path = folder / "second" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["files"][WEIGHTS] = own["files"][WEIGHTS]
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="an autoencoder of its own beside that of first"):
        load_preset(folder / "second")


@pytest.mark.once
@pytest.mark.parametrize(
    "name, received",
    [
        ("../first", "received '../first'; expected the name"),
        ("..", "received '..'; expected the name"),
        ("", "received ''; expected the name"),
        (".first", "received '.first'; expected the name"),
        (3, "received 3; expected the name"),
        ("new", "received 'new', the preset itself"),
        ("none", "received 'none', and no preset at "),
        ("second", "received 'second', whose model.weights.h5 has no autoencoder"),
        ("alone", "received 'alone', whose model.weights.h5 has no autoencoder"),
        ("other", "received 'other' for a model with another one"),
        ("trained", "received 'trained' for a model with another one"),
    ],
)
def test_what_cannot_be_shared(folder, models, make_autoencoder, make_diffusion, name, received):
    save_preset(models[0].autoencoder, folder / "alone")
    save_preset(make_diffusion(make_autoencoder()), folder / "other")
    save_preset(make_diffusion(make_autoencoder(critic=True)), folder / "trained")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ValueError, match=f"Invalid `shares_autoencoder_with`: {received}"):
        save_preset(models[1], folder / "new", shares_autoencoder_with=name)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.once
def test_a_model_without_an_autoencoder_shares_none(folder, models, make_diffusion):
    for model in (make_diffusion(), models[0].autoencoder, models[0].denoiser):
        with pytest.raises(ValueError, match="'first' for a model without one"):
            save_preset(model, folder / "new", shares_autoencoder_with="first")


@pytest.mark.once
def test_the_same_weights_are_the_same_bytes(folder, models):
    save_preset(models[1], folder / "third", shares_autoencoder_with="first")
    first, second = (read_metadata(folder / name)["files"] for name in ("second", "third"))
    assert first[WEIGHTS] == second[WEIGHTS] and first[THERE] == second[THERE]
