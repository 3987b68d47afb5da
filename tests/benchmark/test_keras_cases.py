import numpy as np
import pytest

from keras_bld.benchmark.keras_cases import KerasCases


def laps():
    names = []
    return names, names.append


@pytest.fixture(scope="module")
def cases():
    return KerasCases("keras")


@pytest.mark.once
def test_generation(cases):
    names, lap = laps()
    settings = {"model": "tiny", "batch": 2, "num_steps": 2}
    results = cases.generate(**settings, guided=True)(lap)
    assert names == ["denoise", "decode"]
    assert results["codes"].shape == (2, 8, 8, 4) and results["images"].shape == (2, 16, 16, 3)
    codes = cases.denoise(**settings, guided=True)(lap)["codes"]
    np.testing.assert_array_equal(codes, results["codes"])
    assert cases.retraces(**settings)(lap)["retraces"] == 0


def test_the_small_decoder_is_another(cases):
    settings = {"model": "tiny", "batch": 2, "num_steps": 2}
    full, small = (
        cases.generate(**settings, decoder=decoder)(lambda part: None)
        for decoder in ("full", "small")
    )
    np.testing.assert_array_equal(full["codes"], small["codes"])
    assert full["images"].shape == small["images"].shape
    assert np.abs(full["images"] - small["images"]).max() > 0.01


def test_weights_are_the_same_in_every_process(cases):
    again = KerasCases("keras")._model("tiny")
    for first, second in zip(cases._model("tiny").weights, again.weights, strict=True):
        if "seed" not in first.path:
            np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_training_steps_of_stage_2(cases):
    loss = cases.train_diffusion(model="tiny", batch=3)(None)["loss"]
    assert np.isfinite(loss) and 0 < loss < 5


@pytest.mark.once
def test_encoding_and_decoding(cases):
    codes = cases.encode(model="tiny", batch=2)(None)["codes"]
    assert codes.shape == (2, 8, 8, 4) and set(np.unique(codes)) <= {0, 1}
    assert cases.decode(model="tiny", batch=2)(None)["images"].shape == (2, 16, 16, 3)


@pytest.mark.once
def test_an_engine_that_falls_back_is_an_error(monkeypatch):
    from keras_bld.diffusion import BinaryLatentDiffusion

    monkeypatch.setattr(
        BinaryLatentDiffusion, "compile_for_inference", lambda *_, **__: False, raising=False
    )
    with pytest.raises(ValueError, match="`path`: received openvino"):
        KerasCases("openvino").denoise(model="tiny", batch=1, num_steps=1)
