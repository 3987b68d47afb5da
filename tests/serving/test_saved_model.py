import json

import keras
import numpy as np
import pytest

from keras_bld.base.images import to_uint8
from keras_bld.serving import export_saved_model

exports = pytest.mark.skipif(
    keras.config.backend() == "torch", reason="Keras exports from TensorFlow and JAX"
)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@exports
@pytest.mark.slow
def test_tensorflow_alone_makes_the_images_of_the_library(
    make_autoencoder, make_diffusion, read_elsewhere, tmp_path
):
    model = make_diffusion(make_autoencoder(critic=True), num_classes=5)
    path = model.export(tmp_path / "served", num_steps=3, batch_size=2)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, 8, 8, 3), "uint8")
    codes = random.integers(0, 2, (3, 4, 4, 4), "uint8")
    mask = np.zeros((2, 8, 8), "uint8")
    mask[:, 2:5] = 1
    sampling = ["seed", "labels", "temperature", "guidance_scale"]
    calls = {
        "generate": sampling,
        "serving_default": sampling,
        "inpaint": ["images", "mask", *sampling],
        "encode": ["images"],
        "decode": ["codes"],
    }
    scalars = {"temperature": np.float32(0.8), "guidance_scale": np.float32(1.5)}
    labels = np.array([4, 1], "int32")
    received = read_elsewhere(
        path, calls, images=images, codes=codes, mask=mask, seed=np.int32(7), labels=labels,
        **scalars,
    )  # fmt: skip
    scalars = {key: float(value) for key, value in scalars.items()}
    options = {"labels": labels, "num_steps": 3, "seed": 7, **scalars}
    expected = {
        "generate": to_uint8(model.generate(2, **options)),
        "inpaint": to_uint8(model.inpaint(images, mask, **options)),
        "encode": model.autoencoder.encode(images).astype("uint8"),
        "decode": to_uint8(model.autoencoder.decode(codes)),
    }
    expected["serving_default"] = expected["generate"]
    for name, array in expected.items():
        assert received[name].dtype == np.uint8 and received[name].shape == array.shape, name
        assert (received[name] != array).mean() <= 1e-3, name
    np.testing.assert_array_equal(received["inpaint"][:, 5:], images[:, 5:])
    assert (received["inpaint"][:, 2:5] != images[:, 2:5]).mean() > 0.5


@exports
def test_codes_alone_and_labels_out_of_range(make_diffusion, read_elsewhere, tmp_path):
    model = make_diffusion(num_classes=3)
    path = export_saved_model(model, tmp_path / "served", batch_size=2)
    calls = {"generate_codes": ["seed", "labels", "temperature", "guidance_scale"]}
    received = read_elsewhere(
        path,
        calls,
        seed=np.int32(2**31 - 1),
        labels=np.array([-5, 99], "int32"),
        temperature=np.float32(1.0),
        guidance_scale=np.float32(-1.0),
    )
    expected = model.generate_codes(2, labels=[0, 2], temperature=1.0, seed=2**31 - 1)
    assert (received["generate_codes"] != expected).mean() <= 1e-3


@exports
def test_what_is_written_is_complete_and_holds_each_weight_once(make_diffusion, tmp_path):
    model = make_diffusion()
    path = export_saved_model(model, tmp_path / "served", num_steps=2, posterior="plug_in")
    assert names(path) == [
        "assets",
        "assets.extra",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    record = json.loads((path / "assets.extra" / "keras_bld.json").read_text())
    assert record["num_steps"] == 2 and record["posterior"] == "plug_in"
    assert record["signatures"] == {"generate_codes": ["seed", "temperature", "guidance_scale"]}
    stored = (path / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert 4 * model.count_params() <= stored <= 4 * model.count_params() + 4096


@exports
def test_a_failed_export_leaves_the_old_one(make_diffusion, tmp_path, monkeypatch):
    path = export_saved_model(make_diffusion(), tmp_path / "served")
    before = (path / "saved_model.pb").read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("tensorflow.saved_model.save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_saved_model(make_diffusion(), path)
    assert (path / "saved_model.pb").read_bytes() == before
    assert names(tmp_path) == ["served"]


@exports
@pytest.mark.parametrize(
    "options, argument",
    [
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 5}, "num_steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"posterior": "best"}, "posterior"),
        ({"final": "last"}, "final"),
        ({"text_length": 3}, "text_length"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(
    make_diffusion, tmp_path, options, argument
):
    with pytest.raises(ValueError, match=f"Invalid `{argument}`: received .* Fix: "):
        make_diffusion().export(tmp_path / "served", **options)
    assert names(tmp_path) == []


@exports
def test_a_directory_of_other_files_is_not_replaced(make_diffusion, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="Invalid `path`: received .*holds other files"):
        make_diffusion().export(tmp_path)
    with pytest.raises(ValueError, match="Invalid `format`: received 'pickle'"):
        make_diffusion().export(tmp_path / "served", format="pickle")
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.skipif(keras.config.backend() != "torch", reason="what the torch backend says")
def test_torch_says_which_backends_export(make_diffusion, tmp_path):
    with pytest.raises(ValueError, match="received the torch backend; .*KERAS_BACKEND=tensorflow"):
        make_diffusion().export(tmp_path / "served")
    assert names(tmp_path) == []
