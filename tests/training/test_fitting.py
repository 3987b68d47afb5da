import keras
import numpy as np
import pytest

from keras_bld.training import fitting
from keras_bld.training.fitting import fit_recipe, make_optimizer


@pytest.mark.parametrize(("decay", "last"), [("constant", 1e-3), ("cosine", 5e-5)])
def test_learning_rate_warms_up_and_decays(decay, last):
    schedule = make_optimizer(1e-3, 10, 100, decay, 0.999, 0.0)._learning_rate
    rates = [float(keras.ops.convert_to_numpy(schedule(step))) for step in (0, 5, 10, 100)]
    np.testing.assert_allclose(rates, [0.0, 5e-4, 1e-3, last], rtol=1e-4, atol=1e-9)


def test_steps_that_do_not_fill_epochs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="received 5, with 2 steps in an epoch.*pass 4 or 6"):
        fit_recipe(None, None, tmp_path, 5, 2)


def test_without_tensorflow_there_are_no_logs_and_the_fit_goes_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fitting.importlib.util, "find_spec", lambda name: None)
    seen = []
    monkeypatch.setattr(fitting, "fit_resumably", lambda *_, callbacks: seen.append(callbacks))
    fit_recipe(None, None, tmp_path, 4, 2, callbacks=["own"])
    assert seen == [["own"]]
    assert "no logs for TensorBoard: tensorflow is not installed" in capsys.readouterr().out
