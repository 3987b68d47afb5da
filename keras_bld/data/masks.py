"""Masks that somebody has painted over a picture."""

from keras_bld.base import checks

_LIGHT = 127  # brighter pixels are


def light_pixels(painted, picture_size, cut, received=""):
    """Return where a mask is light, as booleans of the model's size: there new content goes.

    Args:
        painted: the mask's picture, uint8 (height, width, 1).
        picture_size: (width, height) of the picture that it belongs to.
        cut: `ImagePreprocessing` of the model's size, with one channel.
        received: what messages say before the size of the mask, such as the name of its file.

    Returns:
        bool array (height, width).

    Raises:
        ValueError: a mask of another size than the picture, or black where the model looks.
    """
    size = painted.shape[1::-1]
    if tuple(size) != tuple(picture_size):
        raise checks.error(
            "mask",
            f"{received}{size[0]} x {size[1]} pixels",
            f"the size of the picture, {picture_size[0]} x {picture_size[1]}",
            "paint it over a copy of the picture",
        )
    light = cut(painted)[..., 0] > _LIGHT
    if not light.any():
        raise checks.error(
            "mask",
            f"{received}a picture that is black where the model looks",
            "white where new content goes",
            "paint white within the largest centred square",
        )
    return light
