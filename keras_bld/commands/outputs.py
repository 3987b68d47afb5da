"""What the commands that write a picture know of its file before they work."""

import pathlib

from keras_bld.base import checks

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def check_picture_name(out):
    """Raise ValueError where a picture of this name cannot be written: before the work."""
    checks.check_choice("the suffix of out", pathlib.Path(out).suffix.lower(), _SUFFIXES)
