import keras
import numpy as np
import pytest

from keras_bld.metrics import lpips, psnr, ssim


def image_pair(shape=(3, 20, 15, 3), dtype="float64"):
    generator = np.random.default_rng(0)
    a = generator.uniform(size=shape)
    b = np.clip(a + generator.normal(0.0, 0.1, size=shape), 0.0, 1.0)
    if dtype == "uint8":
        return np.round(a * 255).astype("uint8"), np.round(b * 255).astype("uint8")
    return a.astype(dtype), b.astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_equal_to_scikit_image(dtype, channels):
    metrics = pytest.importorskip("skimage.metrics")
    a, b = image_pair((3, 20, 15, channels), dtype)
    scale = 255.0 if dtype == "uint8" else 1.0
    pairs = [(x / scale, y / scale) for x, y in zip(a.astype("f8"), b.astype("f8"), strict=True)]
    expected_psnr = [metrics.peak_signal_noise_ratio(x, y, data_range=1.0) for x, y in pairs]
    expected_ssim = [
        metrics.structural_similarity(
            x,
            y,
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for x, y in pairs
    ]
    assert psnr(a, b) == pytest.approx(np.mean(expected_psnr), rel=1e-6)
    assert ssim(a, b) == pytest.approx(np.mean(expected_ssim), rel=1e-6)


def test_by_hand():
    black = np.zeros((2, 11, 11, 1))
    # Mean over images of the decibels (20 and 40), not the decibels of the mean error.
    gray = np.stack([np.full((11, 11, 1), 0.1), np.full((11, 11, 1), 0.01)])
    assert psnr(black, gray) == pytest.approx(30.0, rel=1e-12)
    # Exact images count as 100 dB: one of them must not hide the others, nor end in a JSON file.
    assert psnr(gray, gray) == 100.0
    assert psnr(black, np.stack([black[0], gray[0]])) == pytest.approx((100 + 20) / 2)
    # Constant images: only the luminance term differs from 1.
    luminance = [0.01**2 / (value**2 + 0.01**2) for value in (0.1, 0.01)]
    assert ssim(black, gray) == pytest.approx(np.mean(luminance), rel=1e-9)
    assert ssim(gray, gray) == pytest.approx(1.0, rel=1e-12)


def test_backend_tensors_are_accepted():
    a, b = image_pair(dtype="float32")
    tensors = keras.ops.convert_to_tensor(a), keras.ops.convert_to_tensor(b)
    assert psnr(*tensors) == psnr(a, b)
    assert ssim(*tensors) == ssim(a, b)


def test_lpips_takes_any_distance_and_weighs_a_small_last_batch_rightly():
    a, b = image_pair((5, 8, 8, 3), "uint8")

    def distance(x, y):
        assert x.dtype == "float32" and x.max() <= 1.0 and len(x) <= 2
        return keras.ops.mean(keras.ops.convert_to_tensor((x - y) ** 2), axis=(1, 2, 3))

    expected = np.mean((a / 255.0 - b / 255.0) ** 2)
    assert lpips(a, b, distance, batch_size=2) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="one distance per image"):
        lpips(a, b, lambda x, y: np.mean(x - y), batch_size=2)


def test_bad_input_is_refused():
    a, b = image_pair()
    with pytest.raises(ValueError, match="11x11"):
        ssim(a[:, :10], b[:, :10])
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match="the shape of `a`"):
            metric(a, b[:2])
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metric(a * 255.0, b)
        with pytest.raises(ValueError, match="shape"):
            metric(a[0], b[0])
