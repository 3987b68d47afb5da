import shlex

import numpy as np
import pytest
from memory_store import MemoryStore
from PIL import Image
from small_models import (
    LinearDenoiser,
    PixelAutoencoder,
    shapes,
    shapes_model,
    small_diffusion,
    tiny_denoiser,
    tiny_model,
    with_small_decoder,
)

import keras_bld
from keras_bld.__main__ import main
from keras_bld.base.images import to_uint8
from keras_bld.serving.page import Page, PageSettings
from keras_bld.serving.page_pictures import ORANGE
from keras_bld.zoo import save_preset

pytestmark = pytest.mark.on_tensorflow
NAMES = ["dark", "gray", "light"]


@pytest.fixture(scope="module")
def page():
    """A page of images of 4 x 4 pixels with three classes by name."""
    model = tiny_model(
        LinearDenoiser(num_classes=3), autoencoder=PixelAutoencoder(), class_names=NAMES
    )
    return Page(model, "tiny")


@pytest.fixture(scope="module")
def shapes_page(tmp_path_factory):
    """The page of a preset on disk, of images of 16 x 16 pixels."""
    path = tmp_path_factory.mktemp("presets") / "shapes"
    save_preset(shapes_model(), path, {"class_names": NAMES})
    return Page(keras_bld.load_preset(path), path, keras_bld.zoo.read_metadata(path))


def settings(page, **given):
    return PageSettings(**{**vars(page.defaults), "num_steps": 3, "seed": 5, **given})


def cells(picture, columns, padding):
    """The images in a picture whose cells are as high as they are wide."""
    pixels = np.asarray(picture)
    width = (pixels.shape[1] - padding) // columns
    return [
        pixels[padding:width, padding + column * width : (column + 1) * width]
        for column in range(columns)
    ]


def run_python(page, lines, monkeypatch):
    """What the lines to copy leave in their variables, and what they show."""
    shown, variables = [], {}
    monkeypatch.setattr(keras_bld, "load_preset", {page.preset: page.model}.__getitem__)
    monkeypatch.setattr(keras_bld, "show", lambda images, **_: shown.append(np.asarray(images)))
    exec(lines, variables)
    return variables, shown


def test_the_command_makes_the_picture(shapes_page, tmp_path, monkeypatch):
    picture, command = shapes_page.generate(
        settings(shapes_page, num_images=4, classes=("light", "dark"), temperature=0.5)
    )
    words = shlex.split(command)
    assert words[:2] == ["keras-bld", "generate"]
    assert command.endswith(
        "--num-images 4 --columns 2 --labels light dark --num-steps 3 --temperature 0.5 --seed 5 "
        "--out images.png"
    )
    monkeypatch.chdir(tmp_path)
    main(words[1:])
    # Two columns of 16 pixels: 20 times on the page, 3 times in the file, a gap of 2 there.
    file, shown = np.asarray(Image.open("images.png")), np.asarray(picture)
    for row in range(2):
        for column in range(2):
            top, left = 2 + 50 * row, 2 + 50 * column
            made = file[top : top + 48 : 3, left : left + 48 : 3]
            top, left = 20 + 340 * row, 20 + 340 * column
            np.testing.assert_array_equal(shown[top : top + 320 : 20, left : left + 320 : 20], made)


def test_a_page_with_the_small_decoder_says_so(tmp_path, monkeypatch):
    model = with_small_decoder(shapes_model())
    save_preset(model, tmp_path / "shapes")
    preset = str(tmp_path / "shapes")
    page = Page(keras_bld.load_preset(preset), preset, decoder="small")
    asked = settings(page, classes=("1",))
    image, lines = page.sample(asked)
    made = keras_bld.load_preset(preset).generate(1, [1], num_steps=3, seed=5, decoder="small")
    np.testing.assert_array_equal(image, made[0])
    variables = {}
    exec(page._python(lines), variables)
    np.testing.assert_array_equal(variables["images"], made)
    assert "--decoder small" in page.generate(asked)[1]


def test_only_what_differs_from_the_model_is_said(page):
    assert page.defaults.num_images == 18  # whole rows of three
    assert page.generate(page.defaults)[1].endswith(
        "tiny --num-images 18 --columns 3 --seed 0 --out images.png"
    )


def test_the_film_ends_with_the_image(page, monkeypatch):
    asked = settings(page, classes=("gray",))
    picture, lines = page.watch(asked)
    _, shown = run_python(page, lines, monkeypatch)
    assert len(shown[0]) == 4  # coin flips, and a state for each step
    made = page.model.generate(1, "gray", num_steps=3, seed=5)[0]
    np.testing.assert_allclose(shown[0][-1], made, atol=1e-5)
    last = cells(picture, 4, 4)[3]
    np.testing.assert_array_equal(last[:112:28, :112:28, 0], to_uint8(made)[..., 0])


def test_inpainting_changes_what_is_painted_alone(page, monkeypatch):
    image, line = page.sample(settings(page, classes=("dark",)))
    strokes = np.zeros((384, 384), "uint8")
    strokes[:190, :210] = 255  # the upper left quarter, more or less
    picture, lines = page.inpaint(settings(page, classes=("light",)), image, line, strokes, 3)
    painted, *results = (cell[:112:28, :112:28] for cell in cells(picture, 4, 4))
    hole = np.zeros((4, 4), bool)
    hole[:2, :2] = True
    np.testing.assert_array_equal((painted == ORANGE).all(axis=-1), hole)
    for result in results:
        np.testing.assert_array_equal(result[~hole], to_uint8(image).repeat(3, axis=-1)[~hole])
    variables, _ = run_python(page, lines, monkeypatch)
    np.testing.assert_array_equal(variables["mask"], hole)
    np.testing.assert_array_equal(np.stack(results)[..., :1], to_uint8(variables["results"][0]))


def test_inpainting_without_a_class_is_without_guidance(page, monkeypatch):
    asked = settings(page, guidance_scale=3.0)
    _, lines = page.inpaint(asked, *page.sample(asked), np.ones((4, 4)), 1)
    assert "drop_condition=True, num_steps=3, seed=5" in lines
    run_python(page, lines, monkeypatch)


def test_uploads_come_back_with_their_quality(shapes_page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, pixels in enumerate(shapes(2, 0)[0]):
        Image.fromarray(pixels[..., 0]).resize((32, 40)).save(f"{number}.png")
    picture, lines = shapes_page.reconstruct([tmp_path / "0.png", tmp_path / "1.png"])
    upload, _, result = (cell[:112:7, :112:7, :1] for cell in cells(picture, 3, 4))
    variables, shown = run_python(shapes_page, lines, monkeypatch)
    np.testing.assert_array_equal(upload, variables["images"][0])
    np.testing.assert_array_equal(result, to_uint8(shown[0][0]))


def test_the_way_from_one_upload_to_another(shapes_page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [tmp_path / "a.png", tmp_path / "b.png"]
    for name, pixels in zip(names, shapes(2, 0)[0], strict=True):
        Image.fromarray(pixels[..., 0]).save(name)
    picture, lines = shapes_page.interpolate(settings(shapes_page, classes=("gray",)), names)
    assert "labels=['gray']" in lines
    _, shown = run_python(shapes_page, lines, monkeypatch)
    first = cells(picture, 5, 4)[0][:112:7, :112:7, :1]
    np.testing.assert_array_equal(first, to_uint8(shown[0][0]))
    assert len(shown[0]) == 10
    message = message_of(shapes_page.interpolate, settings(shapes_page), names[:1])
    assert "received 1 image files; expected two" in message


def test_the_nearest_codes_are_those_of_fewest_flips(page):
    asked = settings(page, num_images=1, classes=("dark",))
    code = page.model.generate_codes(1, "dark", num_steps=3, seed=5)[0]
    others = np.stack([code] * 8)
    for number, other in enumerate(others):
        other.reshape(-1)[: 2 * number] = 1 - other.reshape(-1)[: 2 * number]
    found = Page(page.model, page.preset, store=MemoryStore(others[::-1]))
    picture, lines = found.nearest(asked)
    shown = [cell[:112:28, :112:28, :1] for cell in cells(picture, 6, 4)]
    decoded = to_uint8(page.model.autoencoder.decode(others[:5]))
    np.testing.assert_array_equal(shown, [decoded[0], *decoded])
    assert "k=5" in lines


def message_of(function, *arguments):
    with pytest.raises(ValueError) as caught:
        function(*arguments)
    return str(caught.value)


def test_refusals_are_those_of_the_library(page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    asked = settings(page)
    image = page.sample(asked)
    refusals = {
        "Invalid `seed`: received -1": (page.generate, settings(page, seed=-1)),
        "Invalid `num_steps`: received 9": (page.watch, settings(page, num_steps=9)),
        "one of 3 class names": (page.generate, settings(page, classes=("lght",))),
        "Invalid `mask`: received no painted pixel": (page.inpaint, asked, *image, None, 4),
        "Invalid `num_results`": (page.inpaint, asked, *image, np.ones((4, 4)), 99),
        "Invalid `images`: received 0 image files": (page.reconstruct, None),
        "`broken.png`": (page.reconstruct, [tmp_path / "broken.png"]),
        "Invalid `store`: received none": (page.nearest, asked),
    }
    for message, call in refusals.items():
        assert message in message_of(*call)
    assert str(tmp_path) not in message_of(page.reconstruct, [tmp_path / "broken.png"])


def test_an_empty_field_and_too_many_images_are_refused(page):
    assert "Invalid `seed`: received nothing" in message_of(lambda: settings(page, seed=None))
    assert "Invalid `num_images`" in message_of(lambda: settings(page, num_images=65))


def test_models_without_classes(monkeypatch):
    page = Page(tiny_model(LinearDenoiser(), autoencoder=PixelAutoencoder()), "plain")
    assert page.class_choices == [] and not page.takes_text
    assert "--labels" not in page.generate(page.defaults)[1]
    message = message_of(Page, small_diffusion(), "codes")
    assert "received 'codes', a model without an autoencoder" in message


def test_words_are_encoded(monkeypatch):
    texts = []

    def encode(given):
        texts.append(list(given))
        return np.ones((len(given), 8), "float32")

    monkeypatch.setattr("keras_bld.text.label_conditions.sentence_encoder", lambda _: encode)
    model = tiny_model(tiny_denoiser(text_width=8), autoencoder=PixelAutoencoder())
    page = Page(model, "text", {"text_encoder": "e"})
    monkeypatch.setattr(model, "generate", lambda count, **_: np.zeros((count, 4, 4, 1)))
    monkeypatch.setattr(model, "generate_codes", lambda *_, **__: np.zeros((4, 1, 2, 2, 4)))
    command = page.generate(settings(page, num_images=2, prompts=("a lemon", "two pears")))[1]
    assert "--prompt 'a lemon' 'two pears'" in command
    lines = page.watch(settings(page, prompts=("a lemon",)))[1]
    assert "text_embeddings=keras_bld.text.sentence_encoder('e')(['a lemon'])" in lines
    assert texts == [["a lemon"], ["two pears"], ["a lemon"]]  # each once for a click
