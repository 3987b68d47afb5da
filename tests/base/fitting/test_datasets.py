"""Every kind of dataset, given to either model: what is refused, what is understood."""

import keras
import numpy as np
import pytest
from harness import ListedBatches
from small_models import (
    IMAGE_SHAPE,
    LinearDenoiser,
    PixelAutoencoder,
    compiled_model,
    striped_codes,
    tiny_model,
)

from keras_bld.base.batch_forms import unpack_batch
from keras_bld.base.fitting.datasets import FirstLook, is_dataset, looked_at

KINDS = ("generator", "iterator", "sequence", "tf.data", "torch", "grain", "grain loader")
NUM_BATCHES = 3


def dataset_of(kind, batches):
    """Batches (all of one form: an array, tuple or dictionary) as a dataset of a kind."""
    if kind == "generator":
        return (batch for batch in batches)
    if kind == "iterator":
        return iter(batches)
    if kind == "sequence":
        return ListedBatches(batches)
    if kind == "torch":
        torch = pytest.importorskip("torch")
        tensors = [keras.tree.map_structure(torch.as_tensor, batch) for batch in batches]
        return torch.utils.data.DataLoader(tensors, batch_size=None)
    if kind == "tf.data":
        tf = pytest.importorskip("tensorflow")
        stacked = keras.tree.map_structure(lambda *parts: np.stack(parts), *batches)
        return tf.data.Dataset.from_tensor_slices(stacked)
    grain = pytest.importorskip("grain")
    if kind == "grain":
        return grain.MapDataset.source(batches).to_iter_dataset()
    sampler = grain.samplers.SequentialSampler(len(batches), grain.sharding.NoSharding())
    return grain.DataLoader(data_source=batches, sampler=sampler)


def form_of(form, x, y):
    return {
        "alone": x,
        "pair": (x, y),
        "dictionary": {"image": x, "label": y, "file_name": np.arange(len(x))},
    }[form]


IMAGES = np.linspace(0, 1, NUM_BATCHES * 4 * 16, dtype="float32").reshape(-1, 4, *IMAGE_SHAPE)
LABELS = np.arange(NUM_BATCHES * 4).reshape(-1, 4) % 3


@pytest.mark.once
@pytest.mark.parametrize("form", ["alone", "pair", "dictionary"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_batch_is_looked_at_and_none_is_lost(kind, form):
    batches = [form_of(form, x, y) for x, y in zip(IMAGES, LABELS, strict=True)]
    seen = []
    passed = list(looked_at(dataset_of(kind, batches), FirstLook(seen.append)))
    assert len(seen) == 1 and all(isinstance(part, np.ndarray | None) for part in seen[0][:3])
    np.testing.assert_array_equal(seen[0].x, IMAGES[0])
    assert (seen[0].y is None) == (form == "alone")
    assert len(passed) == NUM_BATCHES
    for batch, images in zip(passed, IMAGES, strict=True):
        np.testing.assert_array_equal(unpack_batch(batch).x, images)
        assert isinstance(batch, tuple) or kind == "grain loader"


@pytest.mark.once
def test_arrays_are_no_datasets():
    for x in (np.zeros(3), [1, 2], {"image": np.zeros(3)}, keras.ops.zeros(3), None):
        assert not is_dataset(x)
    assert is_dataset(iter([1]))


def conditional():
    return compiled_model(denoiser=LinearDenoiser(num_classes=3), autoencoder=PixelAutoencoder())


# Kinds that all backends take by the same code; the others have a test of the first look.
@pytest.mark.parametrize("kind", ["generator", "sequence", "tf.data", "torch", "grain"])
def test_either_form_trains_and_validates(kind):
    model = conditional()
    for form in ("pair", "dictionary"):
        batches = [form_of(form, x, y) for x, y in zip(IMAGES, LABELS, strict=True)]
        history = model.fit(
            dataset_of(kind, batches),
            validation_data=dataset_of(kind, batches),
            validation_steps=1 if kind in ("generator", "grain") else None,
            steps_per_epoch=NUM_BATCHES,
            verbose=0,
        ).history
        assert np.isfinite(history["val_loss"]).all()
    # An unconditional model leaves the labels of a dictionary out.
    compiled_model(autoencoder=PixelAutoencoder()).fit(
        dataset_of(kind, batches), steps_per_epoch=NUM_BATCHES, verbose=0
    )


REFUSED = [
    (IMAGES * 255, LABELS, "`x`: received values from 0.0 to"),
    (IMAGES * 2 - 1, LABELS, "`x`: received values from -1.0"),
    (IMAGES * np.nan, LABELS, "`x`: received values from nan"),
    (IMAGES[..., 0], LABELS, r"`x`: received shape \(4, 4, 4\)"),
    (IMAGES, LABELS + 1, "`labels`: received values from 1 to 3"),
    (IMAGES, LABELS[..., None] * np.ones(2, int), r"`labels`: received shape \(4, 2\)"),
    (IMAGES, LABELS[..., None] * np.ones(3, int), "`labels`: .* not one-hot"),
    (IMAGES, LABELS / 2, "`labels`: .*dtype float64"),
]


@pytest.mark.parametrize("kind", ["generator", "sequence", "tf.data", "torch", "grain"])
def test_refused_as_arrays_are(kind):
    model = conditional()
    good = list(zip(IMAGES, LABELS, strict=True))
    for x, y, message in REFUSED if kind == "generator" else REFUSED[:1] + REFUSED[4:5]:
        wrong = list(zip(x, y, strict=True))
        calls = {
            "fit": lambda data: model.fit(data, steps_per_epoch=2, verbose=0),
            "evaluate": lambda data: model.evaluate(data, steps=2, verbose=0),
            "validation": lambda data: model.fit(
                dataset_of(kind, good),
                validation_data=data,
                steps_per_epoch=1,
                validation_steps=1,
                verbose=0,
            ),
        }
        if kind == "generator":
            calls = {"fit": calls["fit"]}
        for call in calls.values():
            with pytest.raises(ValueError, match=message):
                call(dataset_of(kind, wrong))
    # The model is none the worse for it.
    assert np.isfinite(model.evaluate(dataset_of(kind, good), steps=1, verbose=0)).all()


@pytest.mark.parametrize("form", ["column", "one-hot", "plain"])
def test_forms_of_labels(form):
    labels = LABELS.reshape(-1)
    given = {
        "plain": labels,
        "column": labels[:, None],
        "one-hot": np.eye(3, dtype="float32")[labels],
    }[form]
    model = conditional()
    images = IMAGES.reshape(-1, *IMAGE_SHAPE)
    inputs = model._with_condition_as_input((images, given))[0]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(inputs["condition"]), labels)
    assert keras.ops.convert_to_numpy(inputs["is_class"]).all()
    model.fit(images, given, verbose=0)
    model.fit(dataset_of("generator", [(images, given)]), steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], np.ones((2, 3))])
def test_labels_of_later_batches_that_are_no_class_end_training(labels):
    labels = np.asarray(labels)
    good = np.eye(3)[:2] if labels.ndim == 2 else np.array([0, 1])
    codes = striped_codes(2)
    model = compiled_model(denoiser=LinearDenoiser(num_classes=3))
    batches = [(codes, good), (codes, labels), (codes, good)]
    with pytest.raises(ValueError, match=r"nan at step 2 of epoch 1.*labels outside \[0, 2\]"):
        model.fit(dataset_of("sequence", batches), epochs=2, verbose=0)


@pytest.mark.once
def test_images_that_look_like_packed_codes():
    """With f = 1 both can be bytes of one shape."""

    class Whole(PixelAutoencoder):
        def __init__(self):
            super().__init__()
            self.image_shape = (2, 2, 1)

        def encode(self, images, **options):
            seen.append("images")
            return keras.ops.tile(keras.ops.cast(images, "float32"), (1, 1, 1, 4)) * 0

    seen = []
    model = tiny_model(LinearDenoiser(), autoencoder=Whole())
    model.compile("sgd", run_eagerly=True)
    x = np.full((4, 2, 2, 1), 3, "uint8")
    for data in (x, dataset_of("generator", [x])):
        model.fit(data, steps_per_epoch=1, verbose=0)
        assert seen
        seen.clear()
    for data in ({"packed_codes": x}, dataset_of("generator", [{"packed_codes": x}])):
        model.fit(data, steps_per_epoch=1, verbose=0)
        assert not seen
