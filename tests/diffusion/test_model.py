import keras
import numpy as np
import pytest
from diffusion.published import (
    MODELS,
    PROBABILITY_TOLERANCE,
    as_grid,
    published_denoiser,
    reference,
)
from harness import check_config, run_in_new_process
from keras import ops
from small_models import (
    CODE_SHAPE,
    IMAGE_SHAPE,
    LinearDenoiser,
    PixelAutoencoder,
    compiled_model,
    random_codes,
    step_of,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.diffusion import BernoulliNoiseSchedule, BinaryLatentDiffusion

# What a step sees -------------------------------------------------------------------------------


def test_a_step_diffuses_to_uniform_times():
    model = tiny_model(LinearDenoiser())
    codes = random_codes(4000)
    seen = step_of(model, codes)
    np.testing.assert_array_equal(seen["codes"], codes)
    counts = np.bincount(seen["time_steps"], minlength=9)
    assert counts[0] == 0 and (abs(counts[1:] - 500) < 5 * (500 * 7 / 8) ** 0.5).all()
    differ = abs(seen["noisy_codes"] - codes).mean(axis=(1, 2, 3))
    for t in range(1, 9):
        rows = seen["time_steps"] == t
        assert abs(differ[rows].mean() - t / 16) < 5 * 0.5 / (16 * rows.sum()) ** 0.5


@pytest.mark.parametrize("name", MODELS)
def test_published_loss_and_metrics(name):
    published = reference(name)
    time_steps = published["t"].astype("int32")
    arrays = {"logits": "logits", "codes": "x0", "noisy_codes": "xt"}
    step = {ours: as_grid(published[theirs]) for ours, theirs in arrays.items()}
    step = {key: ops.convert_to_tensor(array) for key, array in step.items()}
    step["time_steps"] = ops.convert_to_tensor(time_steps)
    for weighting, theirs in (("uniform", "mean"), ("time", "weighted")):
        model = tiny_model(published_denoiser(name), vlb_weight=0.0, loss_weighting=weighting)
        loss = float(model.compute_loss(y_pred=step))
        expected = published[f"loss/aux=0.0/{theirs}/loss"]
        np.testing.assert_allclose(loss, expected, rtol=0, atol=PROBABILITY_TOLERANCE)
        metrics = {metric.name: float(metric.result()) for metric in model.metrics}
        for ours, key in (("bce", "bce_loss"), ("accuracy", "acc")):
            expected = published[f"loss/aux=0.0/{theirs}/{key}"]
            np.testing.assert_allclose(metrics[ours], expected, rtol=0, atol=PROBABILITY_TOLERANCE)


@pytest.mark.once
def test_loss_by_hand():
    """BCE + lambda * bound, weighted by sample and by time, and what the metrics show of it."""
    # f = 1/2 everywhere; t = 1 and t = 8 of 8. At t = 8, z^7 differs from z^8 with probability
    # p = (1 -+ 1/8) / 2, by the model with 1/2; half the bits differ.
    codes = np.zeros((2, *CODE_SHAPE), "float32")
    noisy = codes.copy()
    noisy[..., :2] = 1.0
    step = {
        "logits": ops.convert_to_tensor(codes),
        "codes": ops.convert_to_tensor(codes),
        "noisy_codes": ops.convert_to_tensor(noisy),
        "time_steps": ops.convert_to_tensor(np.array([1, 8], "int32")),
    }
    p = 7 / 16
    bound = np.array([np.log(2), p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))])
    losses = np.log(2) + 0.3 * bound
    weights = np.array([0.5, 2.0])
    for weighting, by_time in (("uniform", np.ones(2)), ("time", np.array([1.0, 1 / 8]))):
        model = tiny_model(LinearDenoiser(), vlb_weight=0.3, loss_weighting=weighting)
        received = float(model.compute_loss(y_pred=step))
        assert received == pytest.approx(np.mean(losses * by_time), rel=1e-5)
        received = float(model.compute_loss(y_pred=step, sample_weight=weights))
        assert received == pytest.approx(np.mean(losses * by_time * weights), rel=1e-5)
        metrics = {metric.name: float(metric.result()) for metric in model.metrics}
        mean = np.average(np.tile(bound, 2), weights=[1.0, 1.0, *weights])  # of both calls
        assert metrics["bits_per_dimension"] == pytest.approx(8 * mean / np.log(2), rel=1e-5)
        assert metrics["accuracy"] == 0.5
    # The target "previous" has the bound alone.
    model = tiny_model(LinearDenoiser(), target="previous", vlb_weight=0.3)
    assert float(model.compute_loss(y_pred=step)) == pytest.approx(bound.mean(), rel=1e-5)


def test_the_metric_estimates_the_likelihood():
    model = compiled_model()
    codes = random_codes(20)
    exact = model.likelihood(codes, num_samples=40, batch_size=20)["bits_per_dimension"].mean()
    tiled = np.tile(codes, (200, 1, 1, 1))
    logs = model.evaluate(tiled, batch_size=2000, verbose=0, return_dict=True)
    assert logs["bits_per_dimension"] == pytest.approx(exact, rel=0.05)


# Saving -----------------------------------------------------------------------------------------


def test_config():
    model = tiny_model(
        tiny_denoiser(num_classes=2),
        BernoulliNoiseSchedule(8, "cos"),
        autoencoder=PixelAutoencoder(),
        target="z0",
        vlb_weight=0.5,
        label_dropout=0.2,
        loss_weighting="time",
    )
    rebuilt = check_config(BinaryLatentDiffusion, model)
    assert rebuilt.schedule.kind == "cos" and rebuilt.denoiser.num_classes == 2
    assert rebuilt.code_shape == CODE_SHAPE and rebuilt.num_training_steps == 8


def test_round_trip_in_a_keras_file(tmp_path):
    """Weights, samples, the optimizer's state and the frozen autoencoder come back."""
    model = compiled_model(use_ema=True, autoencoder=PixelAutoencoder())
    images = np.random.default_rng(0).random((8, *IMAGE_SHAPE), "float32")
    model.fit(images, epochs=2, verbose=0)
    made = model.generate(4, num_steps=3, seed=5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is BinaryLatentDiffusion
    for first, second in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(loaded.generate(4, num_steps=3, seed=5), made)
    assert int(loaded.optimizer.iterations) == 2
    assert len(loaded.trainable_variables) == len(model.denoiser.trainable_variables)
    assert not loaded.autoencoder.trainable and not loaded.autoencoder.gain.trainable


RELOAD = """
import keras, keras_bld, numpy as np
model = keras.saving.load_model({path!r})
np.save({result!r}, model.generate_codes(4, labels=[0, 1, 2, 2], num_steps=3, seed=5))
"""


@pytest.mark.slow
def test_a_new_process_gives_the_same_codes(tmp_path):
    model = tiny_model(tiny_denoiser(num_classes=3))
    path, result = str(tmp_path / "model.keras"), str(tmp_path / "codes.npy")
    model.save(path)
    run_in_new_process(RELOAD.format(path=path, result=result))
    made = model.generate_codes(4, labels=[0, 1, 2, 2], num_steps=3, seed=5)
    np.testing.assert_array_equal(np.load(result), made)


def test_sampling_sees_new_weights_at_once():
    """The compiled sampler takes the weights of the moment: it need not be made again."""
    model = compiled_model()
    before = model.generate_codes(16, num_steps=3, seed=1)
    model.denoiser.set_weights([0.0 * weight - 9.0 for weight in model.denoiser.get_weights()])
    traces = model.num_traces
    assert np.mean(model.generate_codes(16, num_steps=3, seed=1) != before) > 0.05
    assert model.num_traces == traces


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(
    "settings, message",
    [
        ({"schedule": BernoulliNoiseSchedule(4)}, "`schedule`: received a schedule of 4 steps"),
        ({"target": "noise"}, "`target`: received 'noise'"),
        ({"vlb_weight": -0.1}, "`vlb_weight`: received -0.1"),
        ({"label_dropout": 1.5}, "`label_dropout`: received 1.5"),
        ({"loss_weighting": "snr"}, "`loss_weighting`: received 'snr'"),
        (
            {"denoiser": LinearDenoiser((4, 4, 4)), "autoencoder": PixelAutoencoder()},
            r"`autoencoder`: received an autoencoder with codes of shape \(2, 2, 4\)",
        ),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(**{"denoiser": LinearDenoiser(), **settings})
