import itertools

import keras
import numpy as np
import pytest
from harness import check_steps_forget, to_numpy
from keras import ops
from small_models import (
    IMAGE_SHAPE,
    LinearDenoiser,
    PixelAutoencoder,
    StubDenoiser,
    compiled_model,
    random_codes,
    step_of,
    striped_codes,
    tiny_denoiser,
    tiny_model,
)

from keras_bld.diffusion.targets import TARGETS

BACKEND = keras.config.backend()


def pack(codes):
    return np.packbits(codes.astype("uint8"), axis=-1, bitorder="little")


@pytest.mark.parametrize("target", TARGETS)
def test_fit_lowers_the_loss(target):
    codes = striped_codes(64)
    model = compiled_model(target=target)
    validation = (codes, None) if target == "residual" else None
    # Packed for one target, to see that they train; what they stand for has a test of its own.
    x = pack(codes) if target == "residual" else codes
    history = model.fit(x, epochs=15, batch_size=32, validation_data=validation, verbose=0).history
    names = {"loss", "bce", "bits_per_dimension", "accuracy"}
    assert set(history) == names | ({f"val_{name}" for name in names} if validation else set())
    assert np.mean(history["loss"][-3:]) < 0.75 * history["loss"][0]
    if validation:
        assert np.mean(history["val_loss"][-3:]) < 0.75 * history["loss"][0]
    if target == "previous":  # trained by the bound alone
        assert set(history["bce"]) == {0.0}


@pytest.mark.once
def test_kinds_of_codes_stand_for_the_same_bits():
    codes = random_codes(3)
    model = tiny_model(LinearDenoiser())
    for x in (codes.astype("uint8"), codes > 0, pack(codes)):
        received = step_of(model, x)["codes"]
        assert received.dtype == np.float32
        np.testing.assert_array_equal(received, codes)


def test_images_are_encoded_on_the_fly_and_the_autoencoder_stays_frozen():
    model = compiled_model(autoencoder=PixelAutoencoder())
    codes = striped_codes(32)
    images = model.autoencoder.decode(codes) * 2.0 - 0.5  # pixels 0 and 1: no chance in the bits
    pixels = (255 * images).astype("uint8")
    losses = model.fit(pixels, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < 0.8 * losses[0]
    assert model.autoencoder.get_weights()[0] == 1.0
    assert [variable.path for variable in model.trainable_variables] == [
        variable.path for variable in model.denoiser.trainable_variables
    ]


@pytest.mark.once
def test_a_model_takes_another_kind_of_input_than_before():
    """TensorFlow would share one traced step of unknown shape between uint8 images and codes."""
    model = compiled_model(autoencoder=PixelAutoencoder())
    codes = striped_codes(4)
    images = (255 * model.autoencoder.decode(codes)).astype("uint8")
    for x in (pack(codes), images, codes.astype("uint8"), ops.convert_to_tensor(images)):
        assert np.isfinite(model.train_on_batch(x)).all()
        assert np.isfinite(model.test_on_batch(x)).all()
        if isinstance(x, np.ndarray):
            model.fit(x, batch_size=2, verbose=0)
    no_weight = np.zeros(4)
    assert model.train_on_batch(images, sample_weight=no_weight, return_dict=True)["loss"] == 0.0


def test_bits_of_training_images_are_sampled():
    """Algorithm 1 draws the code from the encoder's probabilities."""
    model = tiny_model(LinearDenoiser(), autoencoder=PixelAutoencoder())
    images = np.full((500, *IMAGE_SHAPE), 0.3, "float32")
    codes = step_of(model, images)["codes"]
    assert set(np.unique(codes)) == {0.0, 1.0}
    assert abs(codes.mean() - 0.3) < 5 * (0.21 / codes.size) ** 0.5
    assert (codes[0] != codes[1]).any()


def test_a_transformer_learns_the_codes_of_each_class():
    labels = np.arange(64) % 2
    codes = abs(striped_codes(64, noise=0.0) - labels[:, None, None, None])  # 0101 and 1010
    model = tiny_model(tiny_denoiser(num_classes=2))
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(codes, labels, epochs=80, batch_size=64, verbose=0).history
    assert np.mean(history["accuracy"][-10:]) > 0.75
    made = model.generate_codes(32, labels=labels[:32], num_steps=4, seed=0)
    assert np.mean(made != codes[:32]) < 0.25


def test_weights_end_as_the_optimizers_average():
    codes = striped_codes(16)

    def train(model, epochs):
        # One batch an epoch.
        model.fit(codes, epochs=epochs, batch_size=16, shuffle=False, verbose=0)
        return to_numpy(model.denoiser.kernel)

    def new_model(**average):
        keras.utils.set_random_seed(2)
        model = tiny_model(LinearDenoiser())
        model.compile(keras.optimizers.SGD(1.0, **average))
        return model

    plain = new_model()
    first, second, third = (train(plain, 1) for _ in range(3))
    # Keras starts the average at the weights after the first step.
    expected = 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third
    model = new_model(use_ema=True, ema_momentum=0.75)
    received = train(model, 3)
    assert abs(received - third).max() > 1e-3
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)
    # The average and the weights keep to themselves: JAX gave the one's buffer away.
    assert np.isfinite(model.evaluate(codes, verbose=0, return_dict=True)["loss"])
    assert abs(train(model, 1) - received).max() > 1e-3
    assert np.isfinite(model.generate_codes(2, num_steps=1, seed=0)).all()


def test_samples_without_weight_teach_nothing():
    codes, labels = striped_codes(16), np.arange(16) % 2
    model = compiled_model(denoiser=LinearDenoiser(num_classes=2))
    before = model.denoiser.get_weights()
    loss = model.fit(codes, labels, sample_weight=np.zeros(16), verbose=0).history["loss"]
    assert loss == [0.0]
    for first, second in zip(before, model.denoiser.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    # Also without labels, where Keras itself would drop the weights.
    logs = compiled_model().evaluate(
        codes, sample_weight=np.zeros((16, 1)), verbose=0, return_dict=True
    )
    assert logs["loss"] == 0.0 and logs["bce"] == 0.0


class Batches(keras.utils.PyDataset):
    """Codes and labels, eight at a time."""

    def __init__(self, codes, labels):
        super().__init__()
        self.codes, self.labels = codes, labels

    def __len__(self):
        return len(self.codes) // 8

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return self.codes[rows], self.labels[rows]


@pytest.mark.parametrize("kind", ["lists", "sequence", "tf.data"])
def test_fit_on_codes_and_labels_from(kind):
    if kind == "tf.data" and BACKEND != "tensorflow":
        pytest.skip("tf.data is TensorFlow's; the loader of keras_bld.data serves the others")
    codes, labels = striped_codes(24), np.arange(24) % 3
    model = compiled_model(denoiser=LinearDenoiser(num_classes=3))
    if kind == "lists":
        model.fit(codes.tolist(), labels[:, None].tolist(), verbose=0)  # labels as a column
    elif kind == "sequence":
        model.fit(Batches(codes, labels), shuffle=False, verbose=0)
    else:
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((codes, labels))
        # The last batch is smaller: the size is not known when the step is traced.
        model.fit(data.batch(9), shuffle=False, verbose=0)
    assert abs(to_numpy(model.denoiser.by_class)).min() > 0  # every class was seen


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others have one way to compile")
def test_large_denoisers_train_with_xla(monkeypatch):
    model = tiny_model(tiny_denoiser())
    monkeypatch.setattr("keras_bld.base.backend._LARGE", 1)
    model.compile("adam")
    assert model.jit_compile is True
    model.compile("adam", jit_compile=False)
    assert model.jit_compile is False
    # In bfloat16 XLA leaves the matrix units of processors unused.
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = tiny_model(tiny_denoiser())
    half.compile("adam")
    assert half.jit_compile is not True


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others have one way to compile")
@pytest.mark.parametrize("jit_compile", [True, False])
def test_xla_and_plain_graphs_both_train(jit_compile):
    model = tiny_model(LinearDenoiser(num_classes=2))
    model.compile(keras.optimizers.Adam(0.1), jit_compile=jit_compile)
    codes, labels = striped_codes(32), np.arange(32) % 2
    losses = model.fit(codes, labels, epochs=10, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.once
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains(policy):
    keras.config.set_dtype_policy(policy)
    model = compiled_model(0.01, denoiser=tiny_denoiser())
    history = model.fit(striped_codes(32), epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert {v.dtype for v in model.trainable_variables} == {"float32"}


@pytest.mark.once
def test_images_reach_the_autoencoder_in_full_precision():
    """Under a mixed policy Keras would round the images of the outer model to bfloat16."""
    seen = []

    class Watching(PixelAutoencoder):
        def encode(self, images, **settings):
            seen.append(keras.backend.standardize_dtype(images.dtype))
            return super().encode(images, **settings)

    model = tiny_model(LinearDenoiser(), autoencoder=Watching(), dtype="mixed_bfloat16")
    model(np.zeros((2, *IMAGE_SHAPE), "float32"))
    assert seen == ["float32"]


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_label_dropout_drops_its_share_of_samples(share):
    seen = []

    def spy(codes, time_steps, condition, present):
        seen.append((condition, present))
        return 0.0 * codes

    model = tiny_model(StubDenoiser(spy, num_classes=3), label_dropout=share)
    inputs = {"x": random_codes(4000), "condition": np.arange(4000) % 3}
    model(inputs, training=True)
    model(inputs, training=False)
    np.testing.assert_array_equal(to_numpy(seen[0][0]), inputs["condition"])
    if share == 0:
        assert seen[0][1] is None
    else:
        dropped = ~to_numpy(seen[0][1])
        assert abs(dropped.mean() - share) <= 5 * (share * (1 - share) / 4000) ** 0.5
    assert seen[1][1] is None  # evaluation drops nothing


CODES = striped_codes(4)


IMAGES = np.zeros((4, *IMAGE_SHAPE), "float32")


@pytest.mark.once
@pytest.mark.parametrize(
    "x, message",
    [
        (CODES[0], r"`x`: received shape \(2, 2, 4\)"),
        (CODES[:, :1], r"`x`: received shape \(4, 1, 2, 4\); expected codes \(batch, 2, 2, 4\) or"),
        (CODES[:0], "`x`: received an empty batch"),
        (CODES * 2, "`x`: received values such as 2.0; expected only 0 and 1"),
        (CODES * np.nan, "`x`: received values such as nan"),
        (pack(CODES).astype("float32"), r"`x`: received shape \(4, 2, 2, 1\)"),
        (IMAGES + 1.5, r"`x`: received values from 1.5 to 1.5; expected finite values in \[0, 1\]"),
        (IMAGES * np.nan, "`x`: received values from nan"),
        (IMAGES.astype("int64"), "`x`: received dtype int64"),
        (IMAGES[..., 0], r"`x`: received shape \(4, 4, 4\)"),
    ],
)
def test_refuses_inputs(x, message):
    model = compiled_model(autoencoder=PixelAutoencoder())
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=message):
            call(x)


@pytest.mark.once
@pytest.mark.parametrize(
    "num_classes, labels, message",
    [
        (None, np.zeros(4, int), "`y`: received labels; expected no labels"),
        (3, None, "`y`: received no labels; expected a class condition"),
        (3, np.array([0, 1, 2, 3]), "`labels`: received values from 0 to 3"),
        (3, np.array([0, -1, 2, 1]), "`labels`: received values from -1 to 2"),
        (3, np.zeros(4), "`labels`: .* dtype float64"),
        (3, np.zeros((4, 2), int), r"`labels`: received shape \(4, 2\)"),
    ],
)
def test_refuses_labels(num_classes, labels, message):
    model = compiled_model(denoiser=LinearDenoiser(num_classes=num_classes))
    with pytest.raises(ValueError, match=message):
        model.fit(CODES, labels, verbose=0)
    if labels is None or num_classes is None:  # a dataset is looked at in its first step
        batch = (CODES,) if labels is None else (CODES, labels)
        with pytest.raises(ValueError, match=message):
            endless = (part for part in itertools.repeat(batch))
            model.fit(endless, steps_per_epoch=1, shuffle=False, verbose=0)


def test_refuses_images_without_an_autoencoder():
    with pytest.raises(ValueError, match=r"`x`: received shape \(4, 4, 4, 1\); expected codes"):
        compiled_model().fit(IMAGES, verbose=0)


def test_a_step_knows_nothing_of_the_gradients_before_it():
    """On torch, gradients of blocks whose variables share a path once added up over all steps."""
    model = tiny_model(tiny_denoiser(depth=3))
    model.compile(keras.optimizers.SGD(1.0))
    check_steps_forget(model, random_codes(4), model.denoiser)


def test_dropout_is_of_training_alone():
    model = compiled_model(denoiser=tiny_denoiser(dropout=0.5))
    codes = striped_codes(4)

    def draws():
        return to_numpy(model.denoiser.blocks[0].seed_generator.state).tolist()

    before = draws()
    model.evaluate(codes, batch_size=4, verbose=0)
    model.generate_codes(1, num_steps=1, seed=0)
    assert draws() == before
    model.fit(codes, batch_size=4, verbose=0)
    assert draws() != before
