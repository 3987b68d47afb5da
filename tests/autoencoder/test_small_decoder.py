"""A decoder that imitates another one, and where it is used."""

import json

import numpy as np
import pytest
from small_models import small_autoencoder, small_diffusion

import keras_bld
from keras_bld.autoencoder import (
    distill_decoder,
    small_decoder_agreement,
    small_decoder_options,
    with_decoder,
)
from keras_bld.base.sizes import sizes_for
from keras_bld.benchmark.flops import decoder_flops
from keras_bld.benchmark.layers import AutoencoderSizes
from keras_bld.presets import autoencoder_fingerprint
from keras_bld.zoo import load_preset, save_preset


@pytest.fixture(scope="module")
def autoencoder():
    import keras

    keras.utils.set_random_seed(1)
    return small_autoencoder()


@pytest.fixture(scope="module")
def codes(autoencoder):
    return np.random.default_rng(0).integers(0, 2, (64, *autoencoder.code_shape)).astype("float32")


@pytest.fixture(scope="module")
def distilled(autoencoder, codes):
    return distill_decoder(autoencoder, codes, num_steps=150, batch_size=16, share=0.9)


def test_it_learns_to_make_the_same_images(autoencoder, distilled, codes):
    untrained = distill_decoder(autoencoder, codes, num_steps=1, batch_size=1, share=0.9)
    before, after = (small_decoder_agreement(model, codes) for model in (untrained, distilled))
    assert after["psnr"] > before["psnr"] + 3
    assert after["share_of_operations"] <= 0.9
    # All else is as before.
    np.testing.assert_array_equal(distilled.decode(codes), autoencoder.decode(codes))
    assert autoencoder_fingerprint(distilled) == autoencoder_fingerprint(autoencoder)
    assert not distilled.small_decoder.trainable_variables


def test_the_only_decoder_of_a_copy(distilled, codes):
    copy = with_decoder(distilled, "small")
    small = distilled.decode(codes, decoder="small")
    np.testing.assert_array_equal(copy.decode(codes), small)
    assert copy.small_decoder is None and with_decoder(distilled, "full") is distilled
    images = distilled.decode(codes)
    np.testing.assert_array_equal(copy.encode(images), distilled.encode(images))


def test_all_that_makes_images_takes_it(distilled, codes):
    model = small_diffusion(distilled)
    images = distilled.decode(codes[:2])
    mask = np.zeros((4, 4)) == 0
    ends = (images[:1], images[1:])
    makers = (
        lambda **options: model.generate(2, seed=0, **options),
        lambda **options: np.concatenate(list(model.generate_batches(2, seed=0, **options))),
        lambda **options: model.inpaint(images, mask, seed=0, **options),
        lambda **options: model.interpolate(*ends, 3, noise_level=0.0, seed=0, **options),
        lambda **options: model.interpolate(*ends, 3, noise_level=0.5, seed=0, **options),
    )
    for number, make in enumerate(makers):
        assert np.abs(make() - make(decoder="small")).max() > 1e-3, number
    with pytest.raises(ValueError, match="no small decoder"):
        with_decoder(small_diffusion(), "small")


def test_a_preset_keeps_it(distilled, codes, tmp_path):
    loaded = load_preset(save_preset(distilled, tmp_path / "both"))
    alone = load_preset(save_preset(with_decoder(distilled, "small"), tmp_path / "small"))
    small = distilled.decode(codes, decoder="small")
    np.testing.assert_array_equal(loaded.decode(codes, decoder="small"), small)
    np.testing.assert_array_equal(alone.decode(codes), small)


@pytest.mark.once
def test_openvino_runs_both(distilled, codes):
    pytest.importorskip("openvino")
    plain = {name: distilled.decode(codes, decoder=name) for name in ("full", "small")}
    assert distilled.compile_for_inference(precision="float32", progress=False)
    try:
        for name, images in plain.items():
            np.testing.assert_allclose(distilled.decode(codes, decoder=name), images, atol=1e-4)
    finally:
        distilled.compile_for_inference(None)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("format", ["tf_saved_model", "openvino", "onnx", "litert"])
def test_exports_have_the_decoder_that_is_asked_for(distilled, format, tmp_path):
    path = distilled.export(tmp_path / format, format=format, decoder="small")
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["decoder"] == "small"
    assert max(manifest["different"].values()) <= 0.01  # from the small decoder's own images


@pytest.mark.once
@pytest.mark.parametrize("share", [0.1, 0.05])
def test_a_tenth_of_the_operations(share):
    from keras_bld.autoencoder.decoders import count_operations
    from keras_bld.autoencoder.small_decoder import _operations

    published = keras_bld.BinaryAutoencoder.for_images((64, 64, 3))
    full = count_operations(published.decoder, published.latent_shape)
    # The benchmark counts them in a list of its own.
    sizes = AutoencoderSizes((64, 64, 3), **sizes_for((64, 64, 3)).autoencoder)
    assert full == decoder_flops(sizes)
    found = _operations(small_decoder_options(published, share), published) / full
    assert 0.85 * share < found <= share


@pytest.mark.once
def test_bad_arguments(autoencoder, codes):
    with pytest.raises(ValueError, match="no small decoder.*distill_decoder"):
        autoencoder.decode(codes, decoder="small")
    with pytest.raises(ValueError, match="`decoder`"):
        autoencoder.decode(codes, decoder="tiny")
    with pytest.raises(ValueError, match="`share`.*room for a decoder"):
        small_decoder_options(autoencoder, 1e-6)
    with pytest.raises(ValueError, match="`codes`"):
        distill_decoder(autoencoder, codes[:, :1])
    with pytest.raises(ValueError, match="`small_decoder`|small_decoder.*images"):
        keras_bld.BinaryAutoencoder.for_images((16, 16, 1), small_decoder={"pixel_shuffle": 2})
