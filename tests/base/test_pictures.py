import sys
import types

import keras
import numpy as np
import pytest
from PIL import Image

from keras_bld import image_grid, show
from keras_bld.base import pictures
from keras_bld.base.pictures import neighbor_sheet, save_image_grid

pytestmark = pytest.mark.once


def test_by_hand():
    images = np.stack([np.full((1, 2, 1), value, dtype="uint8") for value in (10, 20, 30)])
    w = 255
    assert np.asarray(image_grid(images, columns=2, padding=1, scale=1)).tolist() == [
        [w, w, w, w, w, w, w],
        [w, 10, 10, w, 20, 20, w],
        [w, w, w, w, w, w, w],
        [w, 30, 30, w, w, w, w],
        [w, w, w, w, w, w, w],
    ]


def test_floats_round_and_scale_repeats_pixels():
    image = np.array([0.0, 0.5, 1.0]).reshape(1, 1, 3, 1)
    grid = image_grid(image, padding=0, scale=2)
    assert np.asarray(grid).tolist() == [[0, 0, 128, 128, 255, 255]] * 2


def test_nearly_square_by_default():
    assert image_grid(np.zeros((7, 4, 4, 3)), padding=0, scale=1).size == (12, 12)


def test_small_images_are_enlarged_by_default():
    assert image_grid(np.zeros((4, 16, 16, 1)), padding=0).size == (96, 96)
    assert image_grid(np.zeros((4, 64, 64, 1)), padding=0).size == (128, 128)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_one_image_is_a_grid_of_one(shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    one = image_grid(image, padding=1, scale=1)
    assert one.size == (6, 7)
    np.testing.assert_array_equal(np.asarray(one)[1:-1, 1:-1], image.squeeze())


def test_tensors_and_lists_of_images():
    image = np.zeros((5, 4, 1), "uint8")
    for images in ([image, image], keras.ops.convert_to_tensor(np.stack([image, image]))):
        assert image_grid(images, padding=0, scale=1).size == (8, 5)


def test_captions_stand_below_their_images():
    images = np.full((3, 20, 20, 1), 200, "uint8")
    captions = ["a", "a wide caption", ""]
    picture = np.asarray(image_grid(images, columns=3, padding=2, scale=1, captions=captions))
    plain = np.asarray(image_grid(images, columns=3, padding=2, scale=1))
    assert picture.shape[0] == plain.shape[0] + 16
    width = (picture.shape[1] - 2) // 3  # of a cell, as wide as the longest caption
    assert width > 20 + 2
    ink = [(picture[22:-2, 2 + n * width : n * width + width] < 128).any() for n in range(3)]
    assert ink == [True, True, False]
    assert (picture[:22] == 200).sum() == (plain == 200).sum()
    assert np.asarray(image_grid(images[0], captions="one")).shape[0] == 40 + 4 + 16


def test_show_displays_in_a_notebook_and_opens_a_viewer_elsewhere(monkeypatch):
    images, seen = np.zeros((2, 4, 4, 1)), []
    monkeypatch.setattr(pictures, "_open_viewer", lambda picture: seen.append(picture) or True)
    show(images, padding=0, scale=1)
    assert seen[0].size == (8, 4)
    monkeypatch.setattr(pictures, "_open_viewer", lambda picture: False)
    with pytest.warns(RuntimeWarning, match="image_grid"):
        show(images)
    monkeypatch.setattr(pictures, "in_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    display = types.ModuleType("IPython.display")
    display.display = seen.append
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    show(images, columns=1, padding=0, scale=1)
    assert seen[1].size == (4, 8)


def test_labels_add_a_margin_with_ink_beside_each_row():
    images = np.zeros((4, 20, 20, 3), dtype="uint8")
    plain = np.asarray(image_grid(images, columns=2, scale=1))
    labelled = np.asarray(image_grid(images, columns=2, scale=1, row_labels=["t = 16", 1]))
    margin = labelled.shape[1] - plain.shape[1]
    np.testing.assert_array_equal(labelled[:, margin:], plain)
    ink = (labelled[:, :margin, 0] < 128).any(axis=1)
    assert ink[:22].any() and ink[22:].any()
    assert not (labelled[:, [0, margin - 1]] < 255).any(), "text reaches the edge"


@pytest.mark.parametrize("channels", [1, 3])
def test_file_holds_the_pixels_and_nothing_else_is_left(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 4, channels)).astype("uint8")
    grid = save_image_grid(tmp_path / "grid.png", images, columns=3)
    read = np.asarray(Image.open(tmp_path / "grid.png"))
    np.testing.assert_array_equal(read, np.asarray(grid))
    assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "grid.png"
    save_image_grid(path, np.zeros((1, 4, 4, 1)))
    before = path.read_bytes()

    def fail(self, file, *arguments, **options):
        with open(file, "wb") as half:
            half.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_image_grid(path, np.ones((1, 4, 4, 1)))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["grid.png"]


def test_neighbor_sheet_shows_the_query_and_then_its_neighbors(tmp_path):
    database = np.stack([np.full((3, 3, 1), value, dtype="uint8") for value in (0, 50, 100, 150)])
    queries = database[[3, 0]]
    sheet = neighbor_sheet(tmp_path / "sheet.png", queries, database, [[3, 2], [0, 1]], 1, scale=1)
    sheet = np.asarray(sheet)
    centers = sheet[[2, 6]]
    assert [[pixel for pixel in row if pixel != 255][::3] for row in centers.tolist()] == [
        [150, 150, 100],
        [0, 0, 50],
    ]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), sheet)


def test_bad_input_is_refused(tmp_path):
    images = np.zeros((4, 3, 3, 1))
    with pytest.raises(ValueError, match="2 texts"):
        image_grid(images, columns=2, row_labels=["one"])
    with pytest.raises(ValueError, match="captions"):
        image_grid(images, captions="one")
    with pytest.raises(ValueError, match="channels"):
        image_grid(np.zeros((1, 3, 3, 4)))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        image_grid(images - 1.0)
    with pytest.raises(ValueError, match="picture suffix"):
        save_image_grid(tmp_path / "grid", images)
    with pytest.raises(ValueError, match="indices"):
        neighbor_sheet(tmp_path / "sheet.png", images, images, [[0]])
    with pytest.raises(ValueError, match="database"):
        neighbor_sheet(tmp_path / "sheet.png", images[:1], images[:, :2], [[0]])
