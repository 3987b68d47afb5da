import dataclasses

import pytest

from keras_bld import zoo
from keras_bld.baselines import VectorQuantizer
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion
from keras_bld.presets import locate
from keras_bld.zoo.catalogue import CATALOGUE, Preset


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(locate, "FOLDERS", [])
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_without_weights_the_list_is_the_catalogue(folder):
    assert zoo.list_presets() == list(CATALOGUE)
    assert not any(row.has_weights for row in CATALOGUE)


def test_a_row_is_read_from_a_preset(folder, make_autoencoder, make_diffusion):
    model = make_diffusion(make_autoencoder(), text_width=6, text_conditioning="cross_attention")
    metadata = {"licence": "CC0-1.0", "metric": "FID 1.0", "guidance_scale": 2}
    zoo.save_preset(model, folder / "tiny", metadata)
    row = {row.name: row for row in zoo.list_presets()}["tiny"]
    assert row == Preset(
        name="tiny",
        resolution=8,
        downsampling=2,
        code_channels=4,
        decoder_num_blocks=1,
        depth=1,
        width=16,
        num_heads=2,
        num_training_steps=4,
        condition="cross_attention",
        condition_size=6,
        guidance_scale=2.0,
        num_denoiser_weights=model.denoiser.count_params(),
        num_autoencoder_weights=model.autoencoder.count_params(),
        metric="FID 1.0",
        origin="keras_bld",
        licence="CC0-1.0",
        has_weights=True,
    )
    assert row.code_shape == (4, 4, 4)


def test_autoencoders_and_models_of_codes_alone(folder, make_autoencoder, make_diffusion):
    zoo.save_preset(make_autoencoder(), folder / "only_autoencoder")
    model = make_diffusion(num_classes=3)
    zoo.save_preset(model, folder / "only_codes")
    zoo.save_preset(model.denoiser, folder / "only_denoiser")
    rows = {row.name: row for row in zoo.list_presets()}
    assert rows["only_autoencoder"].depth is None
    assert rows["only_autoencoder"].num_denoiser_weights == 0
    assert "only_denoiser" not in rows
    assert type(zoo.load_preset("only_denoiser")) is type(model.denoiser)
    codes = rows["only_codes"]
    assert (codes.resolution, codes.downsampling, codes.code_shape) == (4, 1, (4, 4, 4))
    assert (codes.condition, codes.condition_size) == ("class", 3)


def test_a_model_around_another_bottleneck(folder, make_autoencoder):
    autoencoder = make_autoencoder(bottleneck=VectorQuantizer(8, 3))
    denoiser = BernoulliDenoiser(autoencoder.code_shape, 1, 16, 2, num_training_steps=4)
    model = BinaryLatentDiffusion(denoiser, BernoulliNoiseSchedule(4), autoencoder)
    zoo.save_preset(model, folder / "quantized")
    (row,) = [row for row in zoo.list_presets() if row.name == "quantized"]
    assert row.code_shape == (4, 4, 3) and row.resolution == 8


def test_weights_for_a_name_of_the_catalogue(folder, make_diffusion):
    zoo.save_preset(make_diffusion(), folder / "bld_ffhq_256", {"metric": "FID 7", "licence": "X"})
    rows = {row.name: row for row in zoo.list_presets()}
    assert len(rows) == len(CATALOGUE)
    original = {row.name: row for row in CATALOGUE}["bld_ffhq_256"]
    expected = dataclasses.replace(original, has_weights=True, metric="FID 7", licence="X")
    assert rows["bld_ffhq_256"] == expected


def test_a_shared_autoencoder_is_named(folder, make_autoencoder, make_diffusion):
    autoencoder = make_autoencoder()
    zoo.save_preset(make_diffusion(autoencoder), folder / "first")
    model = make_diffusion(autoencoder, num_classes=3)
    for name in ("second", "bld_ffhq_256"):
        zoo.save_preset(model, folder / name, shares_autoencoder_with="first")
    rows = {row.name: row for row in zoo.list_presets()}
    assert rows["first"].shares_autoencoder_with is None
    for name in ("second", "bld_ffhq_256"):
        assert rows[name].shares_autoencoder_with == "first" and rows[name].has_weights
    assert rows["second"].num_autoencoder_weights == autoencoder.count_params()
    (folder / "first").rename(folder / "gone")
    rows = {row.name: row for row in zoo.list_presets()}
    assert rows["second"].damage == (
        "second, whose autoencoder is that of first, which is not there"
    )


def test_a_damaged_preset_is_a_row_that_says_so(folder, make_diffusion):
    for name in ("cut", "odd", "lost", "whole", "bld_ffhq_256"):
        zoo.save_preset(make_diffusion(), folder / name)
    cut = folder / "cut" / "model.weights.h5"
    cut.write_bytes(cut.read_bytes()[:-1])
    odd = folder / "odd" / "config.json"
    text = odd.read_text()
    odd.write_text(text.replace('"depth": 1', '"depth": 0'))
    (folder / "lost" / "config.json").unlink()
    (folder / "bld_ffhq_256" / "metadata.json").write_text("[" * 10**5)
    rows = {row.name: row for row in zoo.list_presets()}
    assert "bytes where metadata.json says" in rows["cut"].damage
    assert rows["odd"].damage == "`depth` 0, not an integer in [1, 9007199254740992], or null"
    assert "without config.json" in rows["lost"].damage
    assert "a file that is not JSON" in rows["bld_ffhq_256"].damage
    assert rows["bld_ffhq_256"].depth == 24
    assert [row.name for row in rows.values() if row.has_weights] == ["whole"]
    assert rows["whole"].damage is None
