import keras
import numpy as np
import pytest
from harness import ListedBatches
from small_models import compiled_model, small_autoencoder, striped_codes

from keras_bld.base.fitting.finite import FiniteOrNothing, check_logs, first_not_finite


class Saves(keras.callbacks.Callback):
    """Stands for what replaces checkpoints and writes the history."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)


def test_fit_ends_at_the_first_loss_that_is_not_finite():
    codes, saves = striped_codes(12), Saves()
    model = compiled_model()
    model.denoiser.kernel.assign(np.full((4, 4), np.inf))
    message = r"loss`: received nan at step 1 of epoch 1; not finite: bce.*learning rate"
    with pytest.raises(ValueError, match=message):
        model.fit(codes, epochs=3, batch_size=4, verbose=0, callbacks=[saves])
    assert saves.epochs == []
    with pytest.raises(ValueError, match="loss`: received nan at this step"):
        model.train_on_batch(codes)


@pytest.mark.once
def test_a_later_batch_with_nan_ends_training():
    """The second image of NaN is in a batch that nobody looks at before it is trained on."""
    images = np.full((4, 4, 8, 8, 3), 0.5, "float32")
    images[2, 1] = np.nan
    model = small_autoencoder()
    model.compile("sgd", jit_compile=False)
    message = r"loss`: received nan at step 3 of epoch 1; not finite: .*psnr, reconstruction"
    with pytest.raises(ValueError, match=message):
        model.fit(ListedBatches(list(images)), epochs=3, verbose=0)


def test_an_update_that_is_not_finite_ends_training_before_it_is_saved():
    """The loss of the last step is finite, the weights after it are not."""
    codes = striped_codes(8)
    model = compiled_model()
    model.optimizer.build(model.trainable_variables)
    model.fit(codes, epochs=1, verbose=0)
    saves = Saves()

    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = self.model.denoiser.kernel
            kernel.assign(kernel.value * float("inf"))

    with pytest.raises(ValueError, match=r"`weights`: .*kernel` at the end of epoch 1"):
        model.fit(codes, verbose=0, callbacks=[Breaks(), FiniteOrNothing(), saves])
    assert saves.epochs == []


@pytest.mark.once
def test_the_first_weight_that_is_not_finite():
    def variable(value, name):
        return keras.Variable(np.asarray(value, "float32"), name=name)

    large = variable(np.full(100, 3e38), "large")  # the sum overflows
    count = keras.Variable(1, dtype="int32", trainable=False)
    assert first_not_finite([large, count]) is None
    for value in (np.nan, np.inf, -np.inf):
        assert first_not_finite([large, variable([0, value], "broken")]) == "broken"
    assert first_not_finite([variable([np.inf, -np.inf], "both")]) == "both"


@pytest.mark.once
def test_terms_and_causes_are_named():
    check_logs({"loss": 1.0, "other": float("nan"), "text": "nan"}, "step 1")
    with pytest.raises(ValueError, match="inf at step 1; its terms are finite.*learning rate"):
        check_logs({"loss": float("inf"), "bce": 1.0}, "step 1")
    with pytest.raises(ValueError, match="not finite: bce; .*Fix: it is bce"):
        check_logs(dict.fromkeys(("loss", "bce"), np.nan), "it", lambda names: f"it is {names[1]}")
