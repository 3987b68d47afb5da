"""The page in headless Chromium: what a visitor clicks, sees and reads."""

import ipaddress
import pathlib
import shutil
import socket
import time

import numpy as np
import pytest
from harness import PROJECT_ROOT
from memory_store import MemoryStore
from PIL import Image
from small_models import PixelAutoencoder, shapes_model, tiny_denoiser, tiny_model

from keras_bld.serving.page import Page
from keras_bld.serving.page_layout import build_page, open_page

pytestmark = [
    pytest.mark.on_tensorflow,
    pytest.mark.slow,
    # Of gradio and what it stands on.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
DESKTOP, PHONE = (1280, 900), (390, 844)  # width and height in pixels
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS_TO_FIRST_PICTURE = 5
TABS = ("Generate", "Denoise", "Inpaint", "Uploads", "Nearest")


@pytest.fixture(scope="module")
def browser():
    reason = "the tests of the page need the extra `browser`: make test-page"
    pytest.importorskip("gradio", reason=reason)
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    with sync_api.sync_playwright() as playwright:
        installed = [*map(shutil.which, CHROMIUM_NAMES), playwright.chromium.executable_path]
        found = [path for path in installed if path and pathlib.Path(path).exists()]
        if not found:
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        # Without the sandbox, which root may not use.
        chromium = playwright.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def contacted():
    """Addresses that this process connected to or asked the name service for."""
    return []


@pytest.fixture(scope="module")
def address(browser, contacted):
    """The address of the page of `shapes_model` with classes by name and a store."""
    model = shapes_model()
    model.class_names = ("dark", "gray", "light")
    store = MemoryStore(np.random.default_rng(0).integers(0, 2, (8, 8, 8, 4)))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            original = getattr(socket.socket, name)
            patch.setattr(socket.socket, name, _noting(contacted, original))
        blocks = build_page(Page(model, "shapes", store=store))
        yield open_page(blocks, block=False)
        blocks.close()


@pytest.fixture(scope="module")
def text_address(browser):
    """The address of the page of a model that takes words, whose encoder counts their letters."""

    def encode(texts):
        return np.array(
            [[text.count(letter) for letter in "abcdefgh"] for text in texts], "float32"
        )

    model = tiny_model(tiny_denoiser(text_width=8), autoencoder=PixelAutoencoder())
    metadata = {"text_encoder": "letters", "wordings": {"texts": [["a bag"], ["a cabbage"]]}}
    with pytest.MonkeyPatch.context() as patch:
        home = "keras_bld.text.label_conditions.sentence_encoder"
        patch.setattr(home, lambda name: encode)
        blocks = build_page(Page(model, "words", metadata))
        yield open_page(blocks, block=False)
        blocks.close()


def _noting(contacted, original):
    def connect(self, address):
        if self.family != socket.AF_UNIX:
            contacted.append(address[0])
        return original(self, address)

    return connect


@pytest.fixture
def visit(browser, address):
    """Callable (size) that opens the page in a window; `requested` lists what it loaded."""
    opened = []

    def visit(size, address=address):
        tab = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
        tab.set_default_timeout(60_000)  # milliseconds, on a machine that others use
        tab.requested, tab.failures = [], []
        tab.on("request", lambda request: tab.requested.append(request.url))
        tab.on("pageerror", lambda error: tab.failures.append(str(error)))
        tab.goto(address)
        opened.append(tab)
        picture(tab).wait_for()
        return tab

    yield visit
    for tab in opened:
        assert tab.failures == []
        tab.close()


def picture(tab):
    """The picture of the tab that is open."""
    return tab.locator(".picture img:visible")


def choose(tab, name):
    """Open a tab, which a telephone may have in a menu."""
    shown = tab.get_by_role("tab", name=name, exact=True)
    if shown.is_visible():
        shown.click()
    else:
        tab.locator(".overflow-menu > button").click()
        tab.locator(".overflow-dropdown button", has_text=name).click()


def click(tab, name):
    tab.get_by_role("button", name=name, exact=True).click()


def lines(tab):
    return tab.locator(".copy textarea:visible").input_value()


def wait_for_lines(tab, text):
    tab.wait_for_function(
        "text => [...document.querySelectorAll('.copy textarea')]"
        ".some(area => area.offsetParent && area.value.includes(text))",
        arg=text,
    )


def has_horizontal_scroll(tab):
    return tab.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def paint(tab):
    canvas = tab.locator("canvas:visible").last
    canvas.wait_for()
    tab.wait_for_timeout(2000)  # until it has its image
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x - 40, y)
    tab.mouse.down()
    tab.mouse.move(x + 40, y + 10, steps=5)
    tab.mouse.up()
    tab.wait_for_timeout(500)


def upload(tab, path):
    tab.locator("input[type=file]:not([webkitdirectory])").last.set_input_files([path])
    tab.get_by_text(path.name[:8]).first.wait_for()


def seconds_to_first_picture(browser, address):
    tab = browser.new_page()
    begun = time.monotonic()
    tab.goto(address)
    picture(tab).wait_for()
    tab.wait_for_function("document.querySelector('.picture img').complete")
    seconds = time.monotonic() - begun
    tab.close()
    return seconds


def test_the_first_picture_is_there_at_once(browser, address):
    # Whoever else uses the machine slows some visits, not all.
    visits = [seconds_to_first_picture(browser, address) for _ in range(3)]
    assert min(visits) < SECONDS_TO_FIRST_PICTURE, visits


def test_clicks_give_pictures(visit, tmp_path):
    tab = visit(DESKTOP)
    first = picture(tab).get_attribute("src")
    click(tab, "New seed")
    tab.wait_for_function(
        "first => !document.querySelector('.picture img').src.includes(first)",
        arg=first.split("/")[-2],
    )
    assert "generate shapes --num-images 18 --columns 3 --seed " in lines(tab)

    choose(tab, "Denoise")
    click(tab, "Watch the bits")
    picture(tab).wait_for()
    assert "return_trajectory=True" in lines(tab)

    choose(tab, "Inpaint")
    paint(tab)
    click(tab, "Fill")
    picture(tab).wait_for()
    assert "num_results=4" in lines(tab)

    choose(tab, "Uploads")
    Image.new("RGB", (40, 30), "gray").save(tmp_path / "photo.jpg")
    upload(tab, tmp_path / "photo.jpg")
    click(tab, "Reconstruct")
    picture(tab).wait_for()
    assert "names = ['photo.jpg']" in lines(tab)
    click(tab, "Interpolate")
    tab.get_by_text("received 1 image files; expected two").wait_for()

    choose(tab, "Nearest")
    click(tab, "Find the nearest training images")
    picture(tab).wait_for()
    assert "CodeStore('codes')" in lines(tab)


def test_classes_and_settings_reach_the_command(visit):
    tab = visit(DESKTOP)
    tab.get_by_label("Classes").click()
    tab.get_by_role("option", name="light").click()
    tab.keyboard.press("Escape")
    tab.get_by_label("number input for Images").fill("2")
    tab.get_by_label("Seed").fill("7")
    click(tab, "Generate")
    wait_for_lines(tab, "--num-images 2 --columns 2 --labels light --seed 7 --out")


def test_words_give_pictures(visit, text_address):
    tab = visit(DESKTOP, text_address)
    before = picture(tab).get_attribute("src")
    assert tab.get_by_label("Classes").count() == 0
    tab.get_by_label("Words").fill("a faded bag\n\n two eggs ")
    tab.get_by_label("number input for Images").fill("4")
    click(tab, "Generate")
    wait_for_lines(tab, "--num-images 4 --columns 2 --prompt 'a faded bag' 'two eggs' --seed ")
    assert picture(tab).get_attribute("src") != before

    choose(tab, "Denoise")
    click(tab, "Watch the bits")
    picture(tab).wait_for()
    assert "sentence_encoder('letters')(['a faded bag'])" in lines(tab)


def test_errors_are_text(visit, tmp_path):
    tab = visit(DESKTOP)
    before = picture(tab).get_attribute("src")
    tab.get_by_label("Seed").fill("-3")
    click(tab, "Generate")
    alert = tab.locator("[role=alert]:visible")
    assert alert.inner_text().startswith("Invalid `seed`: received -3; expected an integer in [0, ")
    assert picture(tab).get_attribute("src") == before
    tab.get_by_label("Seed").fill("")
    click(tab, "Generate")
    tab.get_by_text("Invalid `seed`: received nothing").wait_for()
    tab.get_by_label("Seed").fill("3")
    click(tab, "Generate")
    alert.wait_for(state="detached")

    choose(tab, "Inpaint")
    tab.locator("canvas:visible").last.wait_for()
    click(tab, "Fill")
    tab.get_by_text("Invalid `mask`: received no painted pixel").wait_for()

    choose(tab, "Uploads")
    click(tab, "Reconstruct")
    tab.get_by_text("Invalid `images`: received 0 image files").wait_for()
    (tmp_path / "broken.png").write_bytes(b"no image")
    upload(tab, tmp_path / "broken.png")
    click(tab, "Reconstruct")
    alert = tab.get_by_text("Invalid `image`: received `broken.png`, which cannot be read")
    alert.wait_for()
    assert "/" not in alert.inner_text() and "Traceback" not in tab.content()


def test_a_telephone_scrolls_in_one_direction(visit):
    tab = visit(PHONE)
    for name in TABS:
        choose(tab, name)
        tab.wait_for_timeout(500)
        assert not has_horizontal_scroll(tab), name
    choose(tab, "Inpaint")
    paint(tab)
    click(tab, "Fill")
    picture(tab).wait_for()
    assert not has_horizontal_scroll(tab)


def test_nothing_comes_from_or_goes_to_elsewhere(visit, address, contacted):
    tab = visit(DESKTOP)
    for name in TABS:
        choose(tab, name)
    tab.wait_for_timeout(1000)
    elsewhere = [url for url in tab.requested if not url.startswith((address, "data:", "blob:"))]
    assert elsewhere == []
    assert [host for host in contacted if not ipaddress.ip_address(host).is_loopback] == []


def test_the_pictures_of_the_manual_are_small():
    for name in ("demo_desktop.png", "demo_phone.png"):
        assert (PROJECT_ROOT / "docs" / "images" / name).stat().st_size < 200_000
