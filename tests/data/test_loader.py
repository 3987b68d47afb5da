import ast
import itertools
import json
import sys

import keras
import numpy as np
import pytest
from harness import PROJECT_ROOT, shared_file

from keras_bld.data import ArraySource, ImageFolder, ImagePreprocessing, image_batches

pytest.importorskip("grain")
once = pytest.mark.once


def numbered(count, labelled=True):
    """Images whose left column holds their number and whose right column holds 255."""
    images = np.zeros((count, 2, 3, 1), "uint8")
    images[:, :, 0, 0] = np.arange(count)[:, None]
    images[:, :, 2, 0] = 255
    return ArraySource(images, np.arange(count) if labelled else None)


def numbers(images):
    """Which images these are, and which of them are mirrored."""
    mirrored = images[:, 0, 0, 0] == 255
    return np.where(mirrored, images[:, 0, 2, 0], images[:, 0, 0, 0]), mirrored


def take(dataset, count):
    return list(itertools.islice(iter(dataset), count))


@once
def test_an_epoch_is_every_image_once_in_an_order_of_its_own():
    batches = take(image_batches(numbered(12), 4, seed=5), 6)
    epochs = [np.concatenate([numbers(batch)[0] for batch in batches[i : i + 3]]) for i in (0, 3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(12)) and epoch.tolist() != list(range(12))
    assert epochs[0].tolist() != epochs[1].tolist()
    assert batches[0].dtype == np.uint8 and batches[0].shape == (4, 2, 3, 1)


@once
def test_the_order_is_numpys_and_not_that_of_a_version_of_grain():
    order = [numbers(batch)[0].tolist() for batch in take(image_batches(numbered(6), 3, seed=5), 4)]
    streams = [np.random.SeedSequence(5, spawn_key=(epoch,)) for epoch in range(2)]
    epochs = [np.random.default_rng(stream).permutation(6).tolist() for stream in streams]
    assert order == [epochs[0][:3], epochs[0][3:], epochs[1][:3], epochs[1][3:]]
    assert order == [[0, 3, 2], [1, 4, 5], [1, 3, 4], [0, 5, 2]]


@once
def test_batches_hold_no_image_twice_where_the_batch_does_not_divide():
    batches = take(image_batches(numbered(10), 4, seed=0), 40)
    drawn = np.stack([numbers(batch)[0] for batch in batches])
    assert all(len(set(epoch.ravel())) == 8 for epoch in drawn.reshape(20, 2, 4))
    assert set(drawn.ravel()) == set(range(10))  # those left over differ from epoch to epoch


@once
def test_labels_stay_with_their_images():
    images, labels = take(image_batches(numbered(9), 5, labels=True), 1)[0]
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, numbers(images)[0])


@once
def test_flips_are_drawn_anew_in_each_epoch():
    batches = take(image_batches(numbered(64), 64, seed=1, random_flip=True), 20)
    flips = np.zeros((20, 64), bool)
    for epoch, batch in enumerate(batches):
        which, mirrored = numbers(batch)
        flips[epoch, which] = mirrored
    assert 0.45 < flips.mean() < 0.55
    assert len({epoch.tobytes() for epoch in flips}) == 20
    # Flips belong to (seed, epoch, image): they do not change with the order.
    in_order = take(image_batches(numbered(64), 64, seed=1, random_flip=True, shuffle=False), 1)
    np.testing.assert_array_equal(numbers(in_order[0])[1], flips[0])
    assert not numbers(take(image_batches(numbered(64), 64), 1)[0])[1].any()


@once
def test_augmentation_gets_batches_and_a_generator_of_their_number():
    def darken(images, generator):
        assert images.dtype == np.uint8
        return images - generator.integers(1, 50, (len(images), 1, 1, 1)).astype("uint8")

    source = ArraySource(np.full((12, 4, 4, 1), 200, "uint8"), labels=np.arange(12))
    options = {"batch_size": 4, "seed": 3, "labels": True, "augmentation": darken}
    batches = take(image_batches(source, **options), 6)
    assert len({batch.tobytes() for batch, _ in batches}) == 6
    plain = take(image_batches(source, 4, seed=3, labels=True), 6)
    for (augmented, labels), (unchanged, same_labels) in zip(batches, plain, strict=True):
        assert (augmented < unchanged).all()
        np.testing.assert_array_equal(labels, same_labels)
    again, _ = take(image_batches(source, **options, start_batch=4), 1)[0]
    np.testing.assert_array_equal(again, batches[4][0])


@once
def test_crops_are_parts_of_their_images_and_drawn_anew_in_each_epoch():
    rows, columns = np.meshgrid(np.arange(6), np.arange(9), indexing="ij")
    image = np.stack([rows, columns, rows * 0], axis=-1).astype("uint8")
    source = ArraySource(np.stack([image] * 50))
    batches = np.stack(take(image_batches(source, 50, seed=2, random_crop=4), 20))
    assert batches.shape == (20, 50, 4, 4, 3)
    corners = batches[:, :, :1, :1]
    np.testing.assert_array_equal(batches, corners + image[:4, :4])
    tops, lefts = corners[..., 0].ravel(), corners[..., 1].ravel()
    assert set(tops) == set(range(3)) and set(lefts) == set(range(6))
    assert np.bincount(lefts, minlength=6).min() > 100  # of 1,000
    assert len({epoch.tobytes() for epoch in corners}) == 20
    with pytest.raises(ValueError, match=r"`random_crop`: received 7 for an image of 6 x 9 pixels"):
        take(image_batches(source, 4, random_crop=7), 1)


@once
def test_a_flipped_image_is_its_mirror_image_in_every_channel():
    images = np.random.default_rng(0).integers(0, 256, (64, 4, 5, 3), "uint8")
    drawn = take(image_batches(ArraySource(images), 64, random_flip=True, shuffle=False), 1)[0]
    flipped = (drawn != images).any((1, 2, 3))
    assert 10 < flipped.sum() < 54
    np.testing.assert_array_equal(drawn[flipped], images[flipped][:, :, ::-1])


@once
@pytest.mark.parametrize("num_threads", [1, 7])
def test_batches_depend_on_the_seed_and_not_on_threads(num_threads):
    arguments = {"batch_size": 4, "random_flip": True, "labels": True}
    first = take(image_batches(numbered(30), seed=3, **arguments), 20)
    again = take(image_batches(numbered(30), seed=3, num_threads=num_threads, **arguments), 20)
    other = take(image_batches(numbered(30), seed=4, **arguments), 20)
    np.testing.assert_equal(first, again)
    assert [labels.tolist() for _, labels in first] != [labels.tolist() for _, labels in other]


@once
def test_a_run_goes_on_at_any_batch():
    source = numbered(10)
    batches = take(image_batches(source, 3, random_flip=True), 12)
    for start in (1, 3, 8):
        resumed = take(image_batches(source, 3, random_flip=True, start_batch=start), 12 - start)
        np.testing.assert_equal(resumed, batches[start:])


@once
def test_the_state_of_an_iterator_is_saved_and_restored():
    dataset = image_batches(numbered(10), 3, seed=9, random_flip=True)
    iterator = iter(dataset)
    for _ in range(4):
        next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))
    expected = [next(iterator) for _ in range(5)]
    restored = iter(image_batches(numbered(10), 3, seed=9, random_flip=True))
    restored.set_state(state)
    np.testing.assert_equal([next(restored) for _ in range(5)], expected)


@once
def test_one_pass_in_order_for_evaluation():
    batches = list(image_batches(numbered(7), 3, shuffle=False, repeat=False))
    assert [numbers(batch)[0].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]


@once
def test_photographs():
    folder = ImageFolder(shared_file("data/photos256"), ImagePreprocessing(64), "validation")
    images, labels = take(image_batches(folder, 8, labels=True, num_threads=2), 1)[0]
    assert images.shape == (8, 64, 64, 3) and labels.max() < folder.num_classes == 10
    assert 20 < images.mean() < 235 and images.std() > 20


@once
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 11}, "batch_size"),
        ({"labels": True, "source": numbered(10, labelled=False)}, "labels"),
        ({"start_batch": -1}, "start_batch"),
        ({"num_threads": 0}, "num_threads"),
        ({"random_crop": 0}, "random_crop"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"Invalid `{name}`"):
        image_batches(**{"source": numbered(10), "batch_size": 2, **arguments})


@once
def test_without_grain_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ImportError, match=r"pip install .*\[data\]"):
        image_batches(numbered(4), 2)


@once
def test_optional_packages_are_imported_inside_functions():
    files = list((PROJECT_ROOT / "keras_bld" / "data").glob("*.py"))
    imported = set()
    for file in files:
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, ast.Import):
                imported.update(alias.name.split(".")[0] for alias in statement.names)
            elif isinstance(statement, ast.ImportFrom):
                imported.add(statement.module.split(".")[0])
    optional = {"grain", "array_record", "sklearn", "tensorflow_datasets", "tensorflow", "jax"}
    assert "numpy" in imported and not imported & optional


def tiny_classifier(image_shape, num_classes):
    model = keras.Sequential(
        [
            keras.Input(image_shape, dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
    return model


def test_keras_fits_and_evaluates_on_batches():
    # Class 0 is dark, class 1 is bright: learnable, and the last batch of the pass is smaller.
    images = np.zeros((22, 2, 2, 1), "uint8")
    images[11:] = 255
    source = ArraySource(images, np.arange(22) // 11)
    model = tiny_classifier((2, 2, 1), 2)
    training = image_batches(source, 4, labels=True, num_threads=1)
    history = model.fit(training, steps_per_epoch=5, epochs=3, shuffle=False, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    evaluation = image_batches(source, 4, labels=True, shuffle=False, repeat=False, num_threads=1)
    results = model.evaluate(evaluation, steps=6, verbose=0, return_dict=True)
    assert results["accuracy"] == 1.0
