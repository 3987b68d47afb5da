import numpy as np
import pytest
from PIL import Image

from keras_bld.metrics import image_grid, neighbor_sheet, save_image_grid

pytestmark = pytest.mark.once


def test_by_hand():
    images = np.stack([np.full((1, 2, 1), value, dtype="uint8") for value in (10, 20, 30)])
    w = 255
    assert image_grid(images, columns=2, padding=1)[:, :, 0].tolist() == [
        [w, w, w, w, w, w, w],
        [w, 10, 10, w, 20, 20, w],
        [w, w, w, w, w, w, w],
        [w, 30, 30, w, w, w, w],
        [w, w, w, w, w, w, w],
    ]


def test_floats_round_and_scale_repeats_pixels():
    image = np.array([0.0, 0.5, 1.0]).reshape(1, 1, 3, 1)
    grid = image_grid(image, padding=0, scale=2)
    assert grid[:, :, 0].tolist() == [[0, 0, 128, 128, 255, 255]] * 2


def test_nearly_square_by_default():
    assert image_grid(np.zeros((7, 4, 4, 3)), padding=0).shape == (12, 12, 3)


def test_labels_add_a_margin_with_ink_beside_each_row():
    images = np.zeros((4, 20, 20, 3), dtype="uint8")
    plain = image_grid(images, columns=2)
    labelled = image_grid(images, columns=2, row_labels=["t = 16", 1])
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
    np.testing.assert_array_equal(read.reshape(grid.shape), grid)
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
    sheet = neighbor_sheet(tmp_path / "sheet.png", queries, database, [[3, 2], [0, 1]], padding=1)
    centers = sheet[[2, 6]][:, :, 0]
    assert [[pixel for pixel in row if pixel != 255][::3] for row in centers.tolist()] == [
        [150, 150, 100],
        [0, 0, 50],
    ]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), sheet[:, :, 0])


def test_bad_input_is_refused(tmp_path):
    images = np.zeros((4, 3, 3, 1))
    with pytest.raises(ValueError, match="2 labels"):
        image_grid(images, columns=2, row_labels=["one"])
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
