"""Pictures as requests and answers hold them: files in base64."""

import base64
import io

import numpy as np
from PIL import Image


def picture(seed=0, size=(16, 16), kind="PNG", mode="L"):
    """A picture of noise in base64."""
    shape = (*size[::-1], 3) if mode == "RGB" else size[::-1]
    pixels = np.random.default_rng(seed).integers(0, 256, shape, "uint8")
    return encoded(Image.fromarray(pixels), kind)


def mask_of(size=(16, 16), rows=8):
    """A mask in base64 whose upper rows are white."""
    pixels = np.zeros(size[::-1], "uint8")
    pixels[:rows] = 255
    return encoded(Image.fromarray(pixels))


def encoded(image, kind="PNG"):
    """A PIL image as the text that requests hold."""
    file = io.BytesIO()
    image.save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def pixels_of(text):
    """The pixels of a picture in an answer."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
