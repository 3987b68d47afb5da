import keras
import pytest

from keras_bld.serving import export_saved_model, verify_saved_model

pytestmark = pytest.mark.skipif(
    keras.config.backend() == "torch", reason="Keras exports from TensorFlow and JAX"
)


def test_codes_of_the_exported_model_agree_and_those_of_another_do_not(make_diffusion, tmp_path):
    model = make_diffusion(text_width=3)
    path = export_saved_model(model, tmp_path / "served", num_steps=2, batch_size=4)
    (name, share), = verify_saved_model(path, model, seed=5).items()  # fmt: skip
    assert name == "generate_codes" and share <= 1e-3
    other = make_diffusion(text_width=3)
    assert verify_saved_model(path, other, seed=5)["generate_codes"] > 0.1


@pytest.mark.slow
def test_every_signature_of_a_cross_attention_model(make_autoencoder, make_diffusion, tmp_path):
    model = make_diffusion(make_autoencoder(), text_width=3, text_conditioning="cross_attention")
    with pytest.raises(ValueError, match="Invalid `text_length`: received None"):
        model.export(tmp_path / "served")
    path = model.export(tmp_path / "served", num_steps=2, final="sample", text_length=5)
    shares = verify_saved_model(path, model)
    assert shares.keys() == {"generate", "inpaint", "encode", "decode"}
    assert max(shares.values()) <= 1e-3


def test_an_autoencoder_alone(make_autoencoder, tmp_path):
    model = make_autoencoder()
    shares = verify_saved_model(model.export(tmp_path / "served"), model)
    assert shares.keys() == {"encode", "decode"}
    assert max(shares.values()) <= 1e-3


def test_a_directory_without_an_export_is_refused(make_diffusion, tmp_path):
    with pytest.raises(ValueError, match="Invalid `path`.*which holds no saved_model.pb"):
        verify_saved_model(tmp_path, make_diffusion())
