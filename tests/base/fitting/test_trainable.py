import keras
import numpy as np
import pytest
from harness import QUICK_JIT, to_numpy
from small_models import (
    LinearDenoiser,
    compiled_model,
    small_autoencoder,
    striped_codes,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.autoencoder import PatchCritic

BACKEND = keras.config.backend()
CODES, LABELS = striped_codes(12), np.arange(12) % 3


def conditional(optimizer):
    model = compiled_model(denoiser=LinearDenoiser(num_classes=3))
    model.compile(optimizer)
    return model


def smallest_autoencoder(**options):
    sizes = {"image_shape": (4, 4, 1), "width_multipliers": (1,), "base_width": 4}
    model = small_autoencoder(
        **{"embedding_width": 4, "num_groups": 2, "code_channels": 2, **sizes, **options}
    )
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), jit_compile=QUICK_JIT)
    return model


def weights_of(model):
    return [np.array(to_numpy(variable)) for variable in model.trainable_variables]


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def batches(*items):
    return (item for item in items)


def test_an_error_of_the_first_step_is_the_one_that_is_raised():
    """JAX said "'NoneType' object is not callable", and left a model without weights."""
    model = conditional(keras.optimizers.Adam(0.01, use_ema=True))
    model.look_at = lambda batch: None  # so that it is the step that fails
    before = weights_of(model)
    wrong = (CODES[:, :1], LABELS)
    with pytest.raises(ValueError, match="Invalid `x`: received shape"):
        model.fit(batches(wrong, wrong), steps_per_epoch=1, verbose=0)
    assert_same(weights_of(model), before)
    with pytest.raises(ValueError, match="Invalid `x`: received shape"):
        model.evaluate(batches(wrong, wrong), steps=1, verbose=0)
    assert_same(weights_of(model), before)
    # In a later step, and in the validation: what was learned before stays.
    good = (CODES, LABELS)
    with pytest.raises(ValueError, match="Invalid `x`: received shape"):
        model.fit(
            batches(good, good), steps_per_epoch=1, validation_data=batches(wrong, wrong),
            validation_steps=1, verbose=0,
        )  # fmt: skip
    assert np.isfinite(model.fit(*good, verbose=0).history["loss"]).all()
    assert np.isfinite(model.evaluate(*good, verbose=0)).all()


@pytest.mark.skipif(BACKEND != "jax", reason="on JAX the second `fit` found its weights deleted")
def test_an_autoencoder_with_averages_trains_again():
    images = np.random.default_rng(0).random((4, 4, 4, 1)).astype("float32")
    model = smallest_autoencoder()
    for _ in range(2):
        model.fit(images, epochs=2, verbose=0)
        assert np.isfinite(model.evaluate(images, verbose=0)).all()
        assert np.isfinite(model.predict(images, verbose=0)).all()


@pytest.mark.once
@pytest.mark.parametrize("fitted", [False, True])
def test_a_compiled_model_comes_back_compiled_and_without_a_warning(fitted, tmp_path):
    images = np.zeros((2, 4, 4, 1), "float32")
    autoencoder = smallest_autoencoder()
    prior = conditional(keras.optimizers.Adam(0.01, use_ema=True))
    for model, data in ((autoencoder, (images,)), (prior, (CODES[:2], LABELS[:2]))):
        if fitted:
            model.fit(*data, verbose=0)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")  # warnings are errors here
        assert again.compiled and again.optimizer.use_ema
        assert again.optimizer.iterations == int(fitted)
        assert np.isfinite(again.fit(*data, verbose=0).history["loss"]).all()


def test_validation_measures_the_averages_that_fit_leaves():
    model = conditional(keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5))
    seen = []

    class Looks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(("train", weights_of(self.model)))

        def on_test_begin(self, logs=None):
            seen.append(("test", weights_of(self.model)))

    model.fit(
        CODES, LABELS, epochs=2, batch_size=4, verbose=0, callbacks=[Looks()],
        validation_data=(CODES, LABELS),
    )  # fmt: skip
    assert [name for name, _ in seen] == ["test", "train"] * 2
    assert_same(seen[2][1], weights_of(model))  # what is left is what was measured last
    assert abs(seen[3][1][0] - seen[2][1][0]).max() > 1e-4


def test_weights_of_samples_and_of_classes_count_in_loss_and_metrics():
    model = conditional(keras.optimizers.SGD(0.0))
    model.corrupt = lambda codes, time_steps: {"noisy_codes": codes}
    model.loss_terms = lambda outputs: {
        name: keras.ops.mean(outputs["codes"] + 0.0 * outputs["logits"], axis=(1, 2, 3))
        for name in ("loss", "bce", "bits_per_dimension", "accuracy")
    }
    codes = np.broadcast_to((np.arange(4) % 2)[:, None, None, None], (4, 2, 2, 4)).astype("float32")
    labels = np.array([0, 1, 0, 1])  # 0 where the bits are 0
    options = {"verbose": 0, "batch_size": 4}
    for weights in (
        {"sample_weight": np.array([1.0, 3.0, 1.0, 3.0])},
        {"sample_weight": np.array([1.0, 3.0, 1.0, 3.0])[:, None]},
        {"class_weight": {0: 1.0, 1: 3.0}},
    ):
        history = model.fit(codes, labels, **weights, **options).history
        assert history["loss"] == [pytest.approx((3 + 3) / 4)]
        assert history["bce"] == [pytest.approx((3 + 3) / 8)]


@pytest.mark.once
def test_weights_of_images_count_in_all_terms():
    """Images of weight 0 teach nothing and are not measured."""
    images = np.random.default_rng(0).random((6, 12, 12, 1)).astype("float32")
    options = {"image_shape": (12, 12, 1), "critic": PatchCritic(4, 1), "augment_policy": None}
    model = smallest_autoencoder(**options)
    model.critic.trainable = False  # its batch normalisation would see all images
    alone = model.evaluate(images[:3], verbose=0, return_dict=True)
    weighted = model.evaluate(
        images, sample_weight=np.array([2.0, 2, 2, 0, 0, 0]), verbose=0, return_dict=True
    )
    for name in ("reconstruction", "psnr", "adversarial", "critic", "bit_entropy", "dead_bits"):
        assert weighted[name] == pytest.approx(alone[name], rel=1e-4), name
    assert weighted["loss"] == pytest.approx(alone["loss"], rel=1e-4)  # 2 * half of the batch
    before = weights_of(model)
    model.fit(images, sample_weight=np.zeros(6), verbose=0)
    assert_same(weights_of(model), before)


@pytest.mark.once
def test_what_is_refused_before_training():
    unconditional = compiled_model()
    with pytest.raises(ValueError, match="`class_weight`: received weights of classes without"):
        unconditional.fit(CODES, class_weight={0: 1.0})
    for wrong in (np.ones(11), -np.ones(12), np.full(12, np.nan)):
        with pytest.raises(ValueError, match="`sample_weight`: received shape"):
            unconditional.fit(CODES, sample_weight=wrong)
    with pytest.raises(ValueError, match="`x`: received None"):
        unconditional.fit()
    # Arguments by place, and Keras's own refusals, are as ever.
    assert len(unconditional.fit(CODES, None, 4, 2, 0).history["loss"]) == 2
    with pytest.raises(ValueError, match="`y` should not be passed"):
        unconditional.fit(batches((CODES,), (CODES,)), LABELS)


@pytest.mark.skipif(BACKEND != "jax", reason="the others can, on the CPU")
def test_float16_is_refused_where_the_backend_cannot():
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_model(tiny_denoiser())
    model.compile("sgd")
    with pytest.raises(ValueError, match="`dtype`: received mixed_float16 on the CPU with the jax"):
        model.fit(CODES, verbose=0)


@pytest.mark.skipif(BACKEND != "torch", reason="TensorFlow can; for JAX see above")
def test_stage_1_in_float16_is_refused_on_torch():
    keras.config.set_dtype_policy("mixed_float16")
    for critic in (None, PatchCritic(4, 1)):
        model = smallest_autoencoder(image_shape=(12, 12, 1), critic=critic)
        with pytest.raises(ValueError, match="`dtype`: received mixed_float16 .* torch backend"):
            model.fit(np.zeros((2, 12, 12, 1), "uint8"), verbose=0)
