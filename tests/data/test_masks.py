import numpy as np
import pytest

from keras_bld.data import ImagePreprocessing
from keras_bld.data.masks import light_pixels

pytestmark = pytest.mark.once
CUT = ImagePreprocessing(8, 1)


def painted(rows, columns, light_columns=0):
    mask = np.zeros((rows, columns, 1), "uint8")
    mask[:, :light_columns] = 255
    return mask


def test_light_pixels_of_the_centred_square():
    light = light_pixels(painted(16, 32, 16), (32, 16), CUT)
    assert light.shape == (8, 8) and light[:, :4].all() and not light[:, 4:].any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (painted(16, 8, 8), "mask.png, 8 x 16 pixels; expected the size of the picture, 32 x 16"),
        (painted(16, 32, 8), "mask.png, .*black where the model looks"),  # light outside
    ],
)
def test_masks_that_are_none(mask, message):
    with pytest.raises(ValueError, match=message):
        light_pixels(mask, (32, 16), CUT, "mask.png, ")
