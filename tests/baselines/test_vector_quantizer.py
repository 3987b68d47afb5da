import numpy as np
import pytest
from baselines.bottleneck_contract import check_bottleneck, coded, decoded
from harness import to_numpy
from small_models import small_autoencoder

from keras_bld.baselines import VectorQuantizer
from keras_bld.diffusion import BernoulliDenoiser, BernoulliNoiseSchedule, BinaryLatentDiffusion


@pytest.mark.parametrize("codebook_size", (10, 16))
def test_contract(codebook_size):
    quantizer = VectorQuantizer(codebook_size, 3, seed=0)
    assert quantizer.code_channels == 4 and quantizer.latent_channels == 3
    assert quantizer.bits_per_cell == pytest.approx(np.log2(codebook_size))
    check_bottleneck(quantizer)


def test_codes_are_the_numbers_of_codewords():
    quantizer = VectorQuantizer(6, 1)
    quantizer.codebook.assign(np.arange(6)[:, None])
    cells = np.array([0.1, 5.2, 2.9, 99.0], "float32").reshape(1, 1, 4, 1)
    expected = [[0, 0, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1]]  # 0, 5, 3, 5; the lowest bit first
    assert coded(quantizer, cells)[0, 0].tolist() == expected


def test_bits_beyond_the_codebook_name_the_codeword_without_the_highest():
    quantizer = VectorQuantizer(6, 1)
    quantizer.codebook.assign(np.arange(6)[:, None])
    patterns = np.array([[0, 1, 1], [1, 1, 1], [1, 0, 1]], "float32")  # 6, 7, 5
    assert decoded(quantizer, patterns[None, None]).ravel().tolist() == [2, 3, 5]


def test_the_codebook_moves_as_computed_by_hand():
    quantizer = VectorQuantizer(2, 1, momentum=0.5, revival_threshold=0.0, seed=0)
    quantizer.codebook.assign([[0.0], [10.0]])
    quantizer.sums.assign([[0.0], [10.0]])
    cells = np.array([1.0, 2.0, 9.0], "float32").reshape(1, 1, 3, 1)
    latents, loss = quantizer(cells, training=True)
    assert to_numpy(latents).ravel().tolist() == [0.0, 0.0, 10.0]
    assert float(loss) == pytest.approx(0.25 * (1 + 4 + 1) / 3)
    # counts: (1 + 2) / 2 and (1 + 1) / 2; sums: (0 + 3) / 2 and (10 + 9) / 2.
    np.testing.assert_allclose(to_numpy(quantizer.codebook).ravel(), [1.0, 9.5], rtol=1e-6)
    quantizer(cells)  # evaluation moves nothing
    quantizer.to_codes(cells)
    np.testing.assert_allclose(to_numpy(quantizer.codebook).ravel(), [1.0, 9.5], rtol=1e-6)


def test_a_dead_codeword_is_replaced_by_an_input():
    quantizer = VectorQuantizer(2, 1, momentum=0.0, revival_threshold=0.5, seed=0)
    quantizer.codebook.assign([[0.0], [100.0]])
    cells = np.array([1.0, 2.0, 3.0], "float32").reshape(1, 1, 3, 1)
    quantizer(cells, training=True)
    first, second = to_numpy(quantizer.codebook).ravel()
    assert first == pytest.approx(2.0) and second in (1.0, 2.0, 3.0)


def test_codewords_stay_float32_in_a_model_of_mixed_precision():
    autoencoder = small_autoencoder(bottleneck=VectorQuantizer(2, 1))
    denoiser = BernoulliDenoiser(autoencoder.code_shape, 1, 16, 2, num_training_steps=4)
    model = BinaryLatentDiffusion(
        denoiser, BernoulliNoiseSchedule(4), autoencoder, dtype="mixed_bfloat16"
    )
    # In bfloat16 both are 1.
    autoencoder.bottleneck.codebook.assign([[1.0], [1.003]])
    autoencoder.code_logits.kernel.assign(np.zeros((8, 1)))
    autoencoder.code_logits.bias.assign([1.003])
    images = np.zeros((2, 8, 8, 3), "float32")
    assert autoencoder.encode(images).min() == 1.0
    assert to_numpy(model({"x": images})["codes"]).min() == 1.0


def test_bad_arguments():
    with pytest.raises(ValueError, match="codebook_size.*received 1.*>= 2"):
        VectorQuantizer(1)
    with pytest.raises(ValueError, match="latent_channels.*received 0"):
        VectorQuantizer(8, 0)
