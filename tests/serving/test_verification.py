"""Verification finds other models and damage. TensorFlow writes what it looks at."""

import json
import shutil

import keras
import pytest
from small_models import small_autoencoder, small_diffusion

from keras_bld.serving import verify_export

pytestmark = pytest.mark.on_tensorflow
MANIFEST = "manifest.json"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    model = small_autoencoder()
    return model, model.export(tmp_path_factory.mktemp("export") / "served", verify=False)


def test_the_exported_model_agrees_and_another_does_not(served):
    model, path = served
    shares = verify_export(path, model)
    assert shares.keys() == {"encode", "decode"} and max(shares.values()) <= 1e-3
    keras.utils.set_random_seed(7)  # that of the fixture may be as every test starts
    assert verify_export(path, small_autoencoder(), seed=5)["decode"] > 0.1


def test_what_is_no_export_is_refused(served, tmp_path):
    with pytest.raises(ValueError, match="Invalid `path`.*which holds no manifest.json"):
        verify_export(tmp_path, served[0])
    with pytest.raises(ValueError, match="Invalid `model`: received a BinaryLatentDiffusion"):
        verify_export(served[1], small_diffusion())
    with pytest.raises(ValueError, match=r"makes \(3, 8, 8, 1\) where the export makes|not run"):
        verify_export(served[1], small_autoencoder((8, 8, 1)))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (MANIFEST, b""),
        (MANIFEST, b"{}"),
        (MANIFEST, b'{"format": "pickle", "parts": {}, "requests": {"encode": {}}, '
                   b'"batch_size": null, "sampling": null}'),
        ("1/saved_model.pb", b"x" * 100),
        ("bld_client.py", b"import keras_bld\n"),
    ],
)  # fmt: skip
def test_damaged_files_of_an_export_are_refused(file, content, served, tmp_path):
    model, path = served
    shutil.copytree(path, tmp_path / "served")
    (tmp_path / "served" / file).write_bytes(content)
    with pytest.raises(ValueError, match="Invalid `path`.*Fix: export"):
        verify_export(tmp_path / "served", model)


def test_the_process_cannot_import_keras(served, tmp_path):
    """What the client would import is not there: the runtime of another format, too."""
    model, path = served
    shutil.copytree(path, tmp_path / "served")
    manifest = json.loads((path / MANIFEST).read_text())
    (tmp_path / "served" / MANIFEST).write_text(json.dumps({**manifest, "format": "onnx"}))
    client = tmp_path / "served" / "bld_client.py"
    client.write_text(client.read_text().replace("import onnxruntime", "import tensorflow"))
    with pytest.raises(ValueError, match="does not run .*tensorflow"):
        verify_export(tmp_path / "served", model)
