import shutil

import keras
import pytest

from keras_bld.serving import export_saved_model, verify_saved_model

pytestmark = pytest.mark.skipif(
    keras.config.backend() == "torch", reason="Keras exports from TensorFlow and JAX"
)


SETTINGS = "assets.extra/keras_bld.json"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from small_models import small_autoencoder

    model = small_autoencoder()
    return model, model.export(tmp_path_factory.mktemp("export") / "served")


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


def test_an_autoencoder_alone(served):
    model, path = served
    shares = verify_saved_model(path, model)
    assert shares.keys() == {"encode", "decode"}
    assert max(shares.values()) <= 1e-3


def test_a_directory_without_an_export_is_refused(make_diffusion, tmp_path):
    with pytest.raises(ValueError, match="Invalid `path`.*which holds no saved_model.pb"):
        verify_saved_model(tmp_path, make_diffusion())


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (SETTINGS, b""),
        (SETTINGS, b"{}"),
        (SETTINGS, b'{"signatures": {"encode": "images"}}'),
        (SETTINGS, b'{"signatures": {"encode": ["nothing"]}}'),
        (SETTINGS, b'{"signatures": {"decode": []}}'),
        (SETTINGS, b'{"signatures": {"generate": ["seed"]}}'),
        ("saved_model.pb", b""),
        ("saved_model.pb", b"x" * 100),
        ("variables/variables.index", b""),
    ],
)
def test_damaged_files_of_an_export_are_refused(file, content, served, tmp_path):
    model, path = served
    shutil.copytree(path, tmp_path / "served")
    (tmp_path / "served" / file).write_bytes(content)
    with pytest.raises(ValueError, match="Invalid `(path|model)`.*Fix: (export|pass the diff)"):
        verify_saved_model(tmp_path / "served", model)


def test_settings_of_a_sampler_are_all_there(make_diffusion, served, tmp_path):
    shutil.copytree(served[1], tmp_path / "served")
    (tmp_path / "served" / SETTINGS).write_text('{"signatures": {"generate": ["seed"]}}')
    with pytest.raises(ValueError, match="no `num_steps`.*Fix: export"):
        verify_saved_model(tmp_path / "served", make_diffusion())
