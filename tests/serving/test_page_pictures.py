import numpy as np
import pytest

from keras_bld.serving.page_pictures import ORANGE, bit_planes, enlarged, painted_pixels

pytestmark = pytest.mark.on_tensorflow


def test_bit_planes_stand_side_by_side():
    code = np.zeros((1, 2, 2))
    code[0, 1, 0] = code[0, 0, 1] = 1
    before = code.copy()
    before[0, 0, 1] = 0
    picture = bit_planes(code, before)
    # Two planes of 1 x 2 bits with a gap of one pixel, as large as 112 pixels allow.
    assert picture.shape == (27, 109, 3)
    middle = picture[13, [13, 40, 54, 68, 95]]
    np.testing.assert_array_equal(middle, [[235] * 3, [40] * 3, [255] * 3, ORANGE, [235] * 3])


def test_images_are_enlarged_by_whole_factors():
    image = np.array([[[0.0], [1.0]]])
    assert enlarged(image, 7).tolist() == [[[0] * 3] * 3 + [[255] * 3] * 3] * 3
    assert enlarged(np.zeros((4, 200, 3), "uint8"), 112).shape == (4, 200, 3)


def test_a_pixel_is_painted_where_a_quarter_of_it_is():
    strokes = np.zeros((8, 8))
    strokes[0, :4] = strokes[4, 4:7] = 1  # 4 and 3 of 16 parts
    assert painted_pixels(strokes, (2, 2, 1)).tolist() == [[True, False], [False, False]]


def test_nothing_painted_is_refused():
    for strokes in (None, np.zeros((8, 8))):
        with pytest.raises(ValueError, match="Invalid `mask`: received no painted pixel"):
            painted_pixels(strokes, (2, 2, 1))
