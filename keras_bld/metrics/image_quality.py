"""Image quality of a reconstruction: PSNR, SSIM, and a perceptual distance."""

from typing import Any

import numpy as np

from keras_bld.base import checks
from keras_bld.metrics.arrays import check_image_pair, to_float64

_SMALLEST_SQUARED_ERROR = 1e-10  # 100 dB
_SIGMA = 1.5
_RADIUS = int(3.5 * _SIGMA + 0.5)  # 5 pixels: an 11x11 window


def psnr(a: Any, b: Any) -> float:
    """Peak signal-to-noise ratio in decibels, mean over images.

    10 log10(1 / mean squared error) of each image, then the mean (the mean over images of the
    decibels, as scikit-image's `peak_signal_noise_ratio` gives for one image at a time, not the
    decibels of the mean error).

    Args:
        a: images of shape (batch, height, width, channels), uint8 or floating in [0, 1].
        b: their counterparts, of the same shape.

    Returns:
        A float. Equal images count as 100 dB, as in `fit`: an infinite value of one of them
        would be that of all.

    Raises:
        ValueError: different shapes, wrong rank, empty batch, values outside [0, 1].

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import psnr
        >>> round(psnr(np.zeros((1, 4, 4, 1)), np.full((1, 4, 4, 1), 0.1)), 6)
        20.0
    """
    a, b = check_image_pair(a, b)
    errors = np.mean((a - b) ** 2, axis=(1, 2, 3))
    return float(np.mean(-10.0 * np.log10(np.maximum(errors, _SMALLEST_SQUARED_ERROR))))


def ssim(a: Any, b: Any) -> float:
    """Structural similarity, mean over images and channels.

    Wang et al., "Image quality assessment: from error visibility to structural similarity"
    (2004): Gaussian window with sigma 1.5 over 11x11 pixels, K1 = 0.01, K2 = 0.03, covariances
    not corrected for the sample size, positions where the window fits into the image. The same
    number as scikit-image's `structural_similarity(..., channel_axis=-1, data_range=1,
    gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`, image by image.

    Args:
        a: images of shape (batch, height, width, channels), at least 11x11, uint8 or floating
            in [0, 1].
        b: their counterparts, of the same shape.

    Returns:
        A float, at most 1.

    Raises:
        ValueError: different shapes, images below 11x11, wrong rank, values outside [0, 1].

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import ssim
        >>> images = np.random.default_rng(0).uniform(size=(2, 16, 16, 3))
        >>> round(ssim(images, images), 9)
        1.0
    """
    a, b = check_image_pair(a, b)
    size = 2 * _RADIUS + 1
    if min(a.shape[1:3]) < size:
        raise checks.error(
            "a",
            f"images of {a.shape[1]}x{a.shape[2]} pixels",
            f"at least {size}x{size}, the window of SSIM",
            "use `psnr` for smaller images",
        )
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for x, y in zip(a, b, strict=True):  # one image at a time: five filtered copies in memory
        mean_x, mean_y = _gaussian_mean(x), _gaussian_mean(y)
        variance_x = _gaussian_mean(x * x) - mean_x**2
        variance_y = _gaussian_mean(y * y) - mean_y**2
        covariance = _gaussian_mean(x * y) - mean_x * mean_y
        luminance = (2.0 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        structure = (2.0 * covariance + c2) / (variance_x + variance_y + c2)
        values.append(np.mean(luminance * structure))
    return float(np.mean(values))


def lpips(a, b, distance, batch_size=32):
    """Mean perceptual distance between images, by a distance given as a callable.

    Args:
        a: images of shape (batch, height, width, channels), uint8 or floating in [0, 1].
        b: their counterparts, of the same shape.
        distance: callable of two float32 batches in [0, 1] that returns one distance per image
            (shape (batch,), or with further axes of size 1), e.g. the library's LPIPS network
            (Zhang et al., 2018) or a feature distance of your own.
        batch_size: images per call; the last batch may be smaller.

    Returns:
        A float, the mean over images.

    Raises:
        ValueError: different shapes, values outside [0, 1], or a `distance` that does not
            return one number per image.

    Example:
        >>> import numpy as np
        >>> from keras_bld.metrics import lpips
        >>> def mean_absolute(x, y):
        ...     return abs(x - y).mean(axis=(1, 2, 3))
        >>> lpips(np.zeros((5, 8, 8, 3)), np.ones((5, 8, 8, 3)), mean_absolute, batch_size=2)
        1.0
    """
    a, b = check_image_pair(a, b)
    batch_size = checks.check_integer("batch_size", batch_size, 1)
    values = []
    for start in range(0, len(a), batch_size):
        x = a[start : start + batch_size].astype("float32")
        y = b[start : start + batch_size].astype("float32")
        result = to_float64(distance(x, y))
        if result.size != len(x):
            raise checks.error(
                "distance",
                f"a callable that returns shape {result.shape} for {len(x)} pairs of images",
                f"one distance per image, shape ({len(x)},)",
                "average over positions and channels, not over the batch",
            )
        values.append(result.reshape(-1))
    return float(np.mean(np.concatenate(values)))


def _gaussian_mean(image):
    """Gaussian-weighted mean over the window at each position where it fits; separable."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(image, len(weights), axis=axis)
        image = windows @ weights
    return image
