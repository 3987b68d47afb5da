import hashlib
import json

import keras
import numpy as np
import pytest
from harness import run_in_new_process, to_numpy

from keras_bld import BinaryAutoencoder, zoo
from keras_bld.presets.locate import MissingFileError

FILES = ["config.json", "metadata.json", "model.weights.h5"]


@pytest.fixture
def preset(make_diffusion, tmp_path):
    """An untrained preset and its model."""
    model = make_diffusion(num_classes=3)
    return zoo.save_preset(model, tmp_path / "preset", {"licence": "CC0-1.0"}), model


def test_round_trip_of_a_trained_model_keeps_weights_and_samples(
    make_autoencoder, make_diffusion, tmp_path
):
    model = make_diffusion(make_autoencoder(), num_classes=3)
    model.compile(keras.optimizers.Adam(1e-2))
    codes = np.random.default_rng(0).integers(0, 2, (8, 4, 4, 4))
    model.fit(codes, np.arange(8) % 3, verbose=0)
    path = zoo.save_preset(model, tmp_path / "preset")
    assert sorted(file.name for file in path.iterdir()) == FILES
    loaded = zoo.load_preset(path)
    assert type(loaded) is type(model) and not loaded.compiled
    for first, second in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    images = model.generate(2, labels=[0, 2], seed=3)
    np.testing.assert_allclose(loaded.generate(2, labels=[0, 2], seed=3), images, atol=1e-6)


def test_round_trip_of_an_autoencoder_with_its_training_parts(make_autoencoder, tmp_path):
    model = make_autoencoder(critic=True)
    loaded = zoo.load_preset(zoo.save_preset(model, tmp_path / "preset"))
    images = np.random.default_rng(0).random((2, 8, 8, 3))
    np.testing.assert_array_equal(loaded.encode(images), model.encode(images))
    assert loaded.critic is not None
    assert loaded.get_config()["width_multipliers"] == (1, 2)


def test_metadata_holds_the_digest_that_hashlib_computes(preset):
    path, model = preset
    metadata = zoo.read_metadata(path)
    for name in ("config.json", "model.weights.h5"):
        content = (path / name).read_bytes()
        expected = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        assert metadata["files"][name] == expected
    assert metadata["num_weights"] == sum(weight.size for weight in model.get_weights())
    assert metadata["licence"] == "CC0-1.0" and metadata["metric"] is None
    assert json.loads((path / "config.json").read_text())["keras_version"] == keras.__version__


def test_no_optimizer_and_no_compile_settings_are_kept(make_diffusion, tmp_path):
    model = make_diffusion()
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(np.zeros((4, 4, 4, 4)), verbose=0)
    model.denoiser.compile(keras.optimizers.SGD())
    path = zoo.save_preset(model, tmp_path / "preset")
    assert "compile_config" not in (path / "config.json").read_text()
    assert b"optimizer" not in (path / "model.weights.h5").read_bytes()


def test_float16_is_half_the_weights_and_loads_as_float32(make_diffusion, tmp_path):
    model = make_diffusion()
    path = zoo.save_preset(model, tmp_path / "preset", dtype="float16")
    loaded = zoo.load_preset(path)
    for first, second in zip(model.weights, loaded.weights, strict=True):
        assert second.dtype == "float32"
        first, second = to_numpy(first.value), to_numpy(second.value)
        np.testing.assert_array_equal(first.astype("float16").astype("float32"), second)
    assert zoo.read_metadata(path)["weights_dtype"] == "float16"


def test_dtype_policy_of_the_loaded_networks(make_autoencoder, make_diffusion, tmp_path):
    path = zoo.save_preset(make_diffusion(make_autoencoder()), tmp_path / "preset")
    loaded = zoo.load_preset(path, dtype="mixed_bfloat16")
    assert loaded.denoiser.compute_dtype == loaded.autoencoder.decoder.compute_dtype == "bfloat16"
    assert loaded.schedule.compute_dtype == "float32"
    assert np.isin(loaded.generate_codes(2, seed=0), (0, 1)).all()


@pytest.mark.once
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.slow
def test_a_preset_saved_under_tensorflow_loads_elsewhere(
    backend, make_autoencoder, make_diffusion, tmp_path
):
    model = make_diffusion(make_autoencoder(critic=True), num_classes=3)
    path = zoo.save_preset(model, tmp_path / "preset")
    expected = model.generate_codes(4, labels=[0, 1, 2, 0], seed=7)
    code = f"""
import numpy as np, keras
from keras_bld import BinaryAutoencoder, zoo
model = zoo.load_preset({str(path)!r})
assert keras.config.backend() == {backend!r}
codes = model.generate_codes(4, labels=[0, 1, 2, 0], seed=7)
np.save({str(tmp_path / "codes.npy")!r}, codes)
"""
    run_in_new_process(code, backend=backend)
    received = np.load(tmp_path / "codes.npy")
    assert (received != expected).mean() <= 1e-3


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(preset, name):
    path, _ = preset
    (path / name).unlink()
    with pytest.raises(MissingFileError, match=rf"received .*{name}; expected .* Fix: "):
        zoo.load_preset(path)


def truncate(content):
    return content[: len(content) // 2]


def flip_last_byte(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def instead(old, new):
    return lambda content: content.replace(old, new)


@pytest.mark.parametrize(
    "name, damage, received",
    [
        ("model.weights.h5", truncate, "bytes where metadata.json says"),
        ("model.weights.h5", flip_last_byte, "a sha256 that differs"),
        ("config.json", truncate, "bytes where metadata.json says"),
        ("config.json", flip_last_byte, "a sha256 that differs"),
        ("metadata.json", truncate, "a file that is not JSON"),
        ("metadata.json", lambda content: b"[]", "JSON that is not a dictionary"),
        ("metadata.json", lambda content: b"{}", "no `format`"),
        ("metadata.json", instead(b'"format": 1', b'"format": 2'), "`format` 2, not 1"),
        ("metadata.json", instead(b'"bytes"', b'"size"'), "`files` .*, not the sha256 and size"),
        ("metadata.json", instead(b'"CC0-1.0"', b"[7]"), r"`licence` \[7\], not a text, or null"),
    ],
)
def test_a_damaged_file_is_refused(preset, name, damage, received):
    path, _ = preset
    (path / name).write_bytes(damage((path / name).read_bytes()))
    with pytest.raises(ValueError, match=f"received .*{received}.*; expected .* Fix: "):
        zoo.load_preset(path)


def replace_file(path, name, content):
    """Alter a file together with its digest, as somebody would who means it."""
    (path / name).write_bytes(content)
    metadata = json.loads((path / "metadata.json").read_text())
    digest = hashlib.sha256(content).hexdigest()
    metadata["files"][name] = {"sha256": digest, "bytes": len(content)}
    (path / "metadata.json").write_text(json.dumps(metadata))


@pytest.mark.parametrize(
    "old, new, received",
    [
        ('"width": 16', '"width": 20', "weights for a model of"),
        # A few bytes that would take terabytes, or for ever.
        ('"width": 16', '"width": 1600000', "it makes more weights than its file of"),
        ('"depth": 1', '"depth": 1000000000', "it makes more weights than its file of"),
        ('"num_classes": 3', '"num_classes": null', "weights for a model of"),
        # As many weights, 3 * 16 in both cases, but a kernel and a bias in place of a table.
        ('"num_classes": 3', '"text_width": 2', "weights of other shapes or names"),
    ],
)
def test_config_and_weights_must_fit(preset, old, new, received):
    path, _ = preset
    config = (path / "config.json").read_text()
    assert old in config
    if "text_width" in new:
        config = config.replace('"text_width": null', '"num_classes": null')
    replace_file(path, "config.json", config.replace(old, new).encode())
    with pytest.raises(ValueError, match=f"Invalid `.*{received}.* Fix: "):
        zoo.load_preset(path)


def test_a_config_with_code_is_refused(preset):
    path, _ = preset
    config = json.loads((path / "config.json").read_text())
    evil = {"module": "os", "class_name": "system", "config": {}, "registered_name": None}
    config["model"]["config"]["schedule"] = evil
    replace_file(path, "config.json", json.dumps(config).encode())
    with pytest.raises(ValueError, match="an object of class 'system' of os"):
        zoo.load_preset(path)


@pytest.mark.parametrize(
    "metadata, received",
    [
        ({"sha256": object()}, "cannot hold"),
        ({"fid": float("nan")}, "cannot hold"),
        (["licence"], "cannot hold"),
        ({"files": {}, "format": 2}, r"\['files', 'format'\]"),
    ],
)
def test_bad_metadata_is_refused_and_nothing_is_written(
    make_diffusion, tmp_path, metadata, received
):
    with pytest.raises(ValueError, match=received):
        zoo.save_preset(make_diffusion(), tmp_path / "preset", metadata)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_save_leaves_the_old_preset(preset, monkeypatch):
    path, model = preset
    before = {file.name: file.read_bytes() for file in path.iterdir()}

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_bld.presets.store.write_weights", fail)
    with pytest.raises(KeyboardInterrupt):
        zoo.save_preset(model, path)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert [entry.name for entry in path.parent.iterdir()] == ["preset"]


def test_a_model_that_load_would_refuse_is_not_saved(make_diffusion, tmp_path):
    class Foreign(keras.Model):
        pass

    for model in (make_diffusion().schedule, "model", Foreign()):
        with pytest.raises(TypeError, match="expected a built"):
            zoo.save_preset(model, tmp_path / "preset")
    foreign = Foreign()
    foreign.built = True
    with pytest.raises(ValueError, match="an object of class 'Foreign'"):
        zoo.save_preset(foreign, tmp_path / "preset")
    assert list(tmp_path.iterdir()) == []


def test_the_models_methods(make_autoencoder, make_diffusion, tmp_path):
    autoencoder = make_autoencoder(critic=True)
    for model in (autoencoder, make_diffusion(autoencoder, text_width=5)):
        path = model.save_to_preset(
            tmp_path / model.name, {"data": "none"}, dtype="float16", training_parts=False
        )
        metadata = zoo.read_metadata(path)
        assert (metadata["data"], metadata["weights_dtype"]) == ("none", "float16")
        loaded = type(model).from_preset(str(path), dtype="mixed_bfloat16")
        assert loaded.compute_dtype == "bfloat16"
        assert loaded.count_params() < model.count_params()


def test_the_wrong_class_says_which(preset, make_autoencoder, tmp_path):
    path, model = preset
    of_autoencoder = make_autoencoder().save_to_preset(tmp_path / "autoencoder")
    for wrong, directory, fix in [
        (BinaryAutoencoder, path, "call BinaryLatentDiffusion.from_preset"),
        (type(model), of_autoencoder, "call BinaryAutoencoder.from_preset"),
    ]:
        with pytest.raises(ValueError, match=f"expected a preset of a {wrong.__name__}.*{fix}"):
            wrong.from_preset(directory)
