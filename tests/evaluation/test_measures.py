import numpy as np
import pytest

from keras_bld.evaluation.measures import image_similarity
from keras_bld.metrics import psnr, ssim

pytestmark = pytest.mark.once


def test_the_similarity_of_each_image():
    images = np.random.default_rng(0).integers(0, 200, (3, 12, 12, 1), "uint8")
    made = images / 255.0 + 0.1 * np.arange(1, 4)[:, None, None, None] / 2
    found = image_similarity(images, made)
    assert found["psnr"] == pytest.approx([-20 * np.log10(0.1 * k / 2) for k in (1, 2, 3)])
    assert psnr(images, made) == pytest.approx(np.mean(found["psnr"]))
    assert ssim(images, made) == pytest.approx(np.mean(found["ssim"]))


def test_images_below_the_window_of_ssim_have_none():
    images = np.zeros((2, 10, 16, 3), "uint8")
    assert set(image_similarity(images, images + 1)) == {"psnr"}
