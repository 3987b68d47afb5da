import numpy as np
import pytest
from serving.fast_path import differing, on_both_paths

pytest.importorskip("openvino")


@pytest.mark.parametrize("change", ["set_weights", pytest.param("fit", marks=pytest.mark.slow)])
def test_changed_weights_are_noticed(make_model, change):
    model = make_model()

    def call():
        return model.generate_codes(2, seed=5)

    before = on_both_paths(model, call)[1]
    assert model.num_traces >= 1
    compiled = model._inference_engine.num_traces
    if change == "fit":
        model.compile("sgd")
        model.optimizer.learning_rate = 3.0
        codes = np.random.default_rng(0).integers(0, 2, (8, 4, 4, 4))
        model.fit(codes, epochs=2, verbose=0)
    else:
        model.denoiser.set_weights([2.0 * weight for weight in model.denoiser.get_weights()])
    after = call()
    assert model._inference_engine.num_traces == compiled + 1
    assert differing(before, after) > 0.1
    model.compile_for_inference(None)
    np.testing.assert_allclose(after, call(), atol=1e-5)


@pytest.mark.on_tensorflow
def test_without_bfloat16_it_runs_in_float32(make_autoencoder, monkeypatch):
    from keras_bld.serving import inference, openvino_program

    for module in (inference, openvino_program):
        monkeypatch.setattr(module, "has_bfloat16", lambda: False)
    autoencoder = make_autoencoder()
    codes = np.random.default_rng(0).integers(0, 2, (2, 4, 4, 4))
    plain = autoencoder.decode(codes)
    with pytest.warns(RuntimeWarning, match="no bfloat16: OpenVINO runs the model in float32"):
        assert autoencoder.compile_for_inference()
    np.testing.assert_allclose(autoencoder.decode(codes), plain, atol=1e-5)
