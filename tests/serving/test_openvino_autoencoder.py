import numpy as np
import pytest
from serving.fast_path import TOLERANCE, differing, larger_weights, on_both_paths

pytest.importorskip("openvino")


def test_autoencoder_alone(make_autoencoder):
    autoencoder = make_autoencoder()
    larger_weights(autoencoder)
    images = np.random.default_rng(0).random((5, 8, 8, 3), dtype="float32")
    levels = (images * 255).astype("uint8")

    def made():
        probabilities = autoencoder.encode_probabilities(levels, batch_size=4)
        sampled = autoencoder.encode(images, deterministic=False, seed=3, batch_size=4)
        codes = autoencoder.encode(images, batch_size=4)
        return probabilities, autoencoder.decode(codes, batch_size=4), codes, sampled

    plain, exact, rough = on_both_paths(autoencoder, made, TOLERANCE)
    for fast, tolerance, share in ((exact, 1e-5, 0.0), (rough, 0.1, 0.05)):
        np.testing.assert_allclose(fast[0], plain[0], atol=tolerance)
        for bits, expected in zip(fast[2:], plain[2:], strict=True):
            assert differing(bits, expected) <= share
    np.testing.assert_allclose(exact[1], plain[1], atol=1e-5)
    rough = autoencoder.decode(plain[2])
    assert np.abs(rough - plain[1]).mean() < 0.01
    np.testing.assert_array_equal(rough, autoencoder.decode(plain[2], batch_size=2))
    with pytest.raises(ValueError, match=r"`images`: received shape \(5, 8, 8\)"):
        autoencoder.encode(images[..., 0])
    with pytest.raises(ValueError, match="`codes`: received values such as 2.0"):
        autoencoder.decode(plain[2] + 1)
