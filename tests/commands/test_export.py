import keras
import pytest
from small_models import small_autoencoder, tiny_model

from keras_bld.__main__ import main
from keras_bld.diffusion import BernoulliDenoiser
from keras_bld.serving import verify_saved_model
from keras_bld.zoo import load_preset, save_preset


def test_a_preset_becomes_a_saved_model(numpy_initial_weights, tmp_path):
    denoiser = BernoulliDenoiser((4, 4, 4), 1, 16, 2, num_training_steps=8)
    model = tiny_model(denoiser, autoencoder=small_autoencoder())
    save_preset(model, tmp_path / "preset")
    words = ["export", str(tmp_path / "preset"), str(tmp_path / "served"), "--batch-size", "2"]
    if keras.config.backend() == "torch":
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert "KERAS_BACKEND" in str(caught.value.code)
        return
    main([*words, "--num-steps", "2"])
    different = verify_saved_model(tmp_path / "served", load_preset(tmp_path / "preset"))
    assert set(different) == {"generate", "inpaint", "encode", "decode"}
    assert max(different.values()) < 0.01
