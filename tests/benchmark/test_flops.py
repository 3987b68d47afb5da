import pytest

from keras_bld.benchmark.flops import decoder_flops, denoiser_flops, encoder_flops
from keras_bld.benchmark.layers import AutoencoderSizes
from keras_bld.benchmark.models import model_sizes

pytestmark = pytest.mark.once


def test_the_papers_256_model_by_the_known_totals():
    sizes = model_sizes("unconditional_256")
    autoencoder = AutoencoderSizes(**sizes["autoencoder"])
    assert decoder_flops(autoencoder) / 1e9 == pytest.approx(189, abs=1)
    assert encoder_flops(autoencoder) / 1e9 == pytest.approx(138, abs=1)
    assert denoiser_flops(sizes["denoiser"]) / 1e9 == pytest.approx(42, abs=0.3)


def test_a_denoiser_by_hand():
    sizes = {"code_shape": (1, 2, 3), "depth": 2, "width": 4}
    # 3 tokens: qkv 3 * 4 * 12, attention 2 * 3 * 3 * 4, projection 3 * 4 * 4, MLP 3 * 2 * 4 * 16
    block = 144 + 72 + 48 + 384
    ends = 2 * 3 * 4 * 2 + 2 * 4 * 4  # embedding and head of 2 cells, two layers for the time
    assert denoiser_flops(sizes) == 2 * (2 * block + ends)
    assert denoiser_flops(sizes, conditional=True) > denoiser_flops(sizes)


def test_an_autoencoder_by_hand():
    sizes = AutoencoderSizes((4, 4, 3), 2, 32, (1, 2), 1, None, (), 8)
    at_full, at_half = 16, 4
    encoder = at_full * 9 * (3 * 32 + 2 * 32 * 32)
    encoder += at_half * (9 * 32 * 32 + 9 * (32 * 64 + 64 * 64) + 32 * 64)  # down, residual
    encoder += at_half * (4 * 9 * 64 * 64 + 4 * 64 * 64 + 2 * at_half * 64)  # middle
    encoder += at_half * (9 * 64 * 8 + 8 * 2)
    assert encoder_flops(sizes) == 2 * encoder


def test_layers_keep_channels_and_sizes():
    sizes = AutoencoderSizes(**model_sizes("unconditional_1024")["autoencoder"])
    assert sizes.code_shape == (32, 32, 64)
    for layers in (sizes.encoder_layers(), sizes.decoder_layers()):
        for layer, following in zip(layers, layers[1:], strict=False):
            assert layer.outputs == following.inputs
            factor = {"down": 0.5, "up": 2}.get(following.kind, 1)
            assert following.size == tuple(factor * side for side in layer.size)
