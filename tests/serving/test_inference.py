"""`compile_for_inference`: the fast path, and the plain path where it fails."""

import sys

import numpy as np
import pytest
from small_models import StubDenoiser, simple_logits, tiny_model

pytest.importorskip("openvino")


def test_the_autoencoder_of_a_model_becomes_fast_with_it(make_model):
    model = make_model(with_autoencoder=True)
    assert model.compile_for_inference()
    codes = model.generate_codes(3, seed=2)
    np.testing.assert_array_equal(model.generate(3, seed=2), model.autoencoder.decode(codes))
    assert model.autoencoder._batched_decode["full"].num_traces == 0
    assert not model.compile_for_inference(None)
    assert model.autoencoder._batched_decode["full"].substitute is None


@pytest.mark.on_tensorflow
def test_refuses_unknown_names(make_model, make_autoencoder):
    for model in (make_model(), make_autoencoder()):
        with pytest.raises(ValueError, match="`target`: received 'tensorrt'; expected one of 'op"):
            model.compile_for_inference("tensorrt")
        with pytest.raises(ValueError, match="`precision`: received 'int8'"):
            model.compile_for_inference(precision="int8")


def test_without_openvino_the_plain_path_stays(make_autoencoder, monkeypatch):
    autoencoder = make_autoencoder()
    codes = np.zeros((1, 4, 4, 4))
    plain = autoencoder.decode(codes)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.warns(RuntimeWarning, match=r"plain path stays. OpenVINO is not installed: pip"):
        assert not autoencoder.compile_for_inference()
    np.testing.assert_array_equal(autoencoder.decode(codes), plain)


def test_what_cannot_be_converted_stays_on_the_plain_path():
    model = tiny_model(StubDenoiser(simple_logits))
    plain = model.generate_codes(2, seed=1)
    with pytest.warns(RuntimeWarning, match="plain path stays. .*received a StubDenoiser"):
        assert not model.compile_for_inference()
    np.testing.assert_array_equal(model.generate_codes(2, seed=1), plain)
