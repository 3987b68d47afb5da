"""What `model.export` writes, refuses and says, without a look into the graphs."""

import json

import keras
import numpy as np
import pytest
from small_models import small_autoencoder, small_diffusion

from keras_bld.serving import export_model

GRAPHS = "keras_bld.serving.export.write_graphs"


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def stub_of_graphs(monkeypatch, seen=None):
    """Put a text in the place of the graphs."""

    def write(model, folder, format, sampling, batch_size, text_length, weights):
        if seen is not None:
            seen.update(batch_size=batch_size, weights=weights, model=model)
        (folder / "encode.onnx").write_text("graph")
        return {"encode": {"file": "encode.onnx", "inputs": {}, "output": "codes"}}

    monkeypatch.setattr(GRAPHS, write)


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="it writes the graphs itself")
def test_another_backend_hands_the_model_over(tmp_path):
    """Also the client's answers are those of this backend."""
    pytest.importorskip("ai_edge_litert")
    model = small_autoencoder(
        (4, 4, 1), 2, base_width=4, width_multipliers=(1,), num_groups=2, embedding_width=4,
        attention_resolutions=(),
    )  # fmt: skip
    path = model.export(tmp_path / "served", format="litert")
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["different"].keys() == {"encode", "decode"}
    assert max(manifest["different"].values()) <= 0.01
    assert manifest["seconds"].keys() == {"load", "encode", "decode"}
    assert manifest["versions"]["backend"] == keras.config.backend()


@pytest.mark.on_tensorflow
def test_the_manifest_says_what_lies_there(monkeypatch, tmp_path, capsys):
    seen = {}
    stub_of_graphs(monkeypatch, seen)
    model = small_diffusion(small_autoencoder(), num_classes=3)
    credits = {"licence": "CC0-1.0", "data": "digits", "files": {"config.json": {}}, "other": 1}
    path = model.export(
        tmp_path / "served", format="onnx", batch_size=2, weights="int8", metadata=credits,
        verify=False, verbose=True, num_steps=2, temperature=0.7,
    )  # fmt: skip
    assert names(path) == ["bld_client.py", "encode.onnx", "manifest.json"]
    assert seen["model"].autoencoder.decoder.pixel_shuffle == 1
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["credits"] == {name: credits[name] for name in ("licence", "data", "files")}
    assert manifest["sampling"]["num_steps"] == 2 and manifest["sampling"]["temperature"] == 0.7
    assert manifest["requests"].keys() == {"generate", "inpaint", "encode", "decode"}
    labels = manifest["requests"]["generate"]["labels"]
    assert (labels["low"], labels["high"], labels["dtype"]) == (-1, 2, "int32")
    assert manifest["bytes"]["encode.onnx"] == 5
    assert len(manifest["model"]["generator_fingerprint"]) == 64
    assert seen["batch_size"] == 2 and seen["weights"] == "int8"
    assert "onnx, int8 weights: " in capsys.readouterr().out


@pytest.mark.on_tensorflow
def test_the_small_decoder_is_the_only_one_of_its_export(monkeypatch, tmp_path):
    seen = {}
    stub_of_graphs(monkeypatch, seen)
    small = {"width_multipliers": [1], "pixel_shuffle": 2}
    model = small_diffusion(small_autoencoder(small_decoder=small))
    path = model.export(tmp_path / "served", format="onnx", decoder="small", verify=False)
    assert json.loads((path / "manifest.json").read_text())["decoder"] == "small"
    exported = seen["model"].autoencoder
    assert exported.decoder.pixel_shuffle == 2 and exported.small_decoder is None
    with pytest.raises(ValueError, match="no small decoder"):
        small_autoencoder().export(tmp_path / "other", format="onnx", decoder="small")
    assert names(tmp_path) == ["served"]


@pytest.mark.on_tensorflow
@pytest.mark.parametrize(
    "options, argument",
    [
        ({"format": "pickle"}, "format"),
        ({"weights": "int4"}, "weights"),
        ({"format": "litert", "weights": "bfloat16"}, "weights"),
        ({"num_steps": 0}, "num_steps"),
        ({"num_steps": 5}, "num_steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"posterior": "best"}, "posterior"),
        ({"text_length": 3}, "text_length"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(tmp_path, options, argument):
    with pytest.raises(ValueError, match=f"Invalid `{argument}`: received .* Fix: "):
        small_diffusion().export(tmp_path / "served", **options)
    assert names(tmp_path) == []


@pytest.mark.on_tensorflow
def test_a_failed_export_leaves_the_old_one_and_a_new_one_replaces_it(monkeypatch, tmp_path):
    stub_of_graphs(monkeypatch)
    model = small_autoencoder()
    path = export_model(model, tmp_path / "served", "onnx", verify=False)
    (path / "notes.txt").write_text("mine")
    before = (path / "manifest.json").read_text()

    def fail(*arguments):
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(GRAPHS, fail)
        export_model(model, path, "onnx")
    assert (path / "manifest.json").read_text() == before and names(tmp_path) == ["served"]
    export_model(model, path, "onnx", weights="float16", verify=False)
    assert json.loads((path / "manifest.json").read_text())["weights"] == "float16"
    assert (path / "notes.txt").read_text() == "mine"


@pytest.mark.on_tensorflow
def test_a_directory_of_other_files_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="Invalid `path`: received .*holds other files"):
        small_autoencoder().export(tmp_path)
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.on_tensorflow
def test_an_export_that_differs_is_told(monkeypatch, tmp_path):
    stub_of_graphs(monkeypatch)
    result = ({"generate": 0.0, "decode": 0.25}, {"load": 1.0})
    monkeypatch.setattr("keras_bld.serving.export.run_and_compare", lambda *arguments: result)
    with pytest.warns(RuntimeWarning, match="as onnx differs from the model: 25.0% of `decode`"):
        export_model(small_autoencoder(), tmp_path / "served", "onnx")
    export_model(small_autoencoder(), tmp_path / "served", "onnx", weights="int8")


@pytest.mark.on_tensorflow
def test_a_process_that_cannot_load_the_model_says_which_backend_can(monkeypatch, tmp_path):
    from keras_bld.serving import graph_writer

    monkeypatch.setattr(graph_writer, "backend_name", lambda: "torch")
    monkeypatch.setattr(graph_writer.sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match="Invalid `model`.*KERAS_BACKEND=tensorflow"):
        small_autoencoder().export(tmp_path / "served")
    assert np.size(names(tmp_path)) == 0
